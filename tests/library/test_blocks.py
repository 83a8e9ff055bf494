"""All inner products of two blocks are those of the dense deltas."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes  # noqa: F401 (teaches NumPy the name bfloat16)
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from tests.library.making import dense, random_factors, split_anew

from superpose.adapter import Adapter, Delta
from superpose.library.blocks import products, stacked
from superpose.library.placing import block_there, products_there
from superpose.library.sketch import Sketcher, standard_error
from superpose.lowrank import Term


def adapter(seed: int, rank: int, modules: int = 6, scale: float = 1.0) -> Adapter:
    found = random_factors(seed, rank, modules)
    return Adapter({m: Delta.of(B, A, scale) for m, (B, A) in found.items()})


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


LAYOUTS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=2, max_size=6)


@settings(max_examples=15)
@given(layout=LAYOUTS, first=st.integers(1, 5), seed=st.integers(0, 999))
def test_products_of_two_blocks_are_the_cosines_of_the_dense_deltas(
    layout: list[tuple[int, int]], first: int, seed: int
) -> None:
    whole = [adapter(seed + n, r, m, (-1.0) ** n * 3.0**n) for n, (r, m) in enumerate(layout)]
    sizes = [(-1.0) ** n * dense(random_factors(seed + n, r, m)) for n, (r, m) in enumerate(layout)]
    cut = min(first, len(whole) - 1)
    found = products(stacked(whole[:cut]), stacked(whole[cut:]))
    truth = cosines(np.array(sizes))[:cut, cut:]
    assert np.abs(found.cosine - truth).max() < 2e-6
    on_torch = (block_there(stacked(part), torch.from_numpy) for part in (whole[:cut], whole[cut:]))
    for figure, there in zip(found, products_there(*on_torch), strict=True):
        np.testing.assert_allclose(there, figure, atol=1e-6)
    counts = [m for _, m in layout]
    assert (found.shared == np.minimum.outer(counts[:cut], counts[cut:])).all()


def test_the_rms_cosine_is_over_the_modules_that_both_change() -> None:
    a, b = random_factors(1), random_factors(2, modules=4)
    both = (Adapter({m: Delta.of(*f) for m, f in one.items()}) for one in (a, b))
    found = products(stacked([next(both)]), stacked([next(both)]))
    own = []
    for module in b:
        x, y = (f[module][0].astype(float) @ f[module][1].astype(float) for f in (a, b))
        own.append(np.sum(x * y) / np.linalg.norm(x) / np.linalg.norm(y))
    assert found.rms_cosine[0, 0] == pytest.approx(np.sqrt(np.mean(np.square(own))), abs=1e-6)


def test_nothing_depends_on_split_size_or_cancelling_terms() -> None:
    factors, other = random_factors(3), random_factors(4)
    plain = Adapter({m: Delta.of(B, A) for m, (B, A) in factors.items()})
    again = Adapter({m: Delta.of(B, A) for m, (B, A) in split_anew(factors, 5).items()})
    tiny = Adapter({m: Delta.of(B * 1e-25, A * 1e-12) for m, (B, A) in factors.items()})
    beside = {m: Term(1e4, *other[m]) for m in other}
    cancelling = Adapter(
        {m: Delta((Term(1.0, *f), beside[m], beside[m]._replace(coefficient=-1e4)))
         for m, f in factors.items()}
    )  # fmt: skip
    found = products(stacked([plain]), stacked([again, tiny, cancelling]))
    assert np.abs(found.cosine - 1.0).max() < 1e-5


def test_a_zero_adapter_has_no_cosine_and_one_beside_it_does() -> None:
    zero = Adapter({m: Delta.of(B, A, 0.0) for m, (B, A) in random_factors(1).items()})
    found = products(stacked([zero, adapter(1, 3)]), stacked([adapter(1, 3)]))
    assert np.isnan(found.cosine[0, 0])
    assert found.cosine[1, 0] == pytest.approx(1.0, abs=1e-6)


def test_a_sketch_does_not_depend_on_the_split() -> None:
    factors = random_factors(8)
    sketcher = Sketcher(3)
    plain = Adapter({m: Delta.of(B, A) for m, (B, A) in factors.items()})
    again = Adapter({m: Delta.of(B, A) for m, (B, A) in split_anew(factors, 5).items()})
    first, second = (sketcher.of(one, one.norm())[0] for one in (plain, again))
    assert np.abs(first - second).max() < 1e-6


def of_factors(
    change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> Adapter:
    """The same random deltas in factors that were changed."""
    return Adapter({m: Delta.of(*change(B, A)) for m, (B, A) in random_factors(6).items()})


def doubled(B: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Beside the factors the same pair of large ones twice, whose products cancel."""
    large, wide = np.float32(1e3) * B[:, ::-1], np.float32(1e3) * A[::-1] + 1.0
    return np.concatenate([B, large, -large], 1), np.concatenate([A, wide, wide])


UNWIELDY = {
    "tiny": lambda B, A: (B * np.float32(1e-22), A * np.float32(1e-22)),
    "huge": lambda B, A: (B * np.float32(1e25), A * np.float32(1e9)),
    "uneven": lambda B, A: (B * np.float32(1e25), A * np.float32(1e-25)),
    "cancelling": doubled,
    "bfloat16": lambda B, A: (B.astype("bfloat16"), A.astype("bfloat16")),
}


@pytest.mark.parametrize("kind", UNWIELDY)
def test_figures_in_float32_are_those_of_float64_whatever_the_factors(kind: str) -> None:
    made = of_factors(UNWIELDY[kind])
    exact = {
        m: Delta.of(*(np.asarray(x, float) for x in d.terms[0].arrays)) for m, d in made.items()
    }
    both = (made, Adapter(exact))
    norm = both[1].norm()
    ours, truth = (Sketcher(3).of(one, norm) for one in both)
    assert np.abs(ours[0] - truth[0]).max() < 1e-5
    assert np.abs(ours[1] - truth[1]).max() < 1e-5
    assert ours[2] == pytest.approx(truth[2], rel=1e-5)
    other = adapter(9, 3) + both[1] * (1.0 / norm)
    cosine = [products(stacked([one]), stacked([other])).cosine[0, 0] for one in both]
    assert cosine[0] == pytest.approx(cosine[1], abs=3e-6)


def test_sketches_are_unbiased_and_their_standard_error_is_as_stated() -> None:
    """Over seeds: no bias beyond chance, and 95 of 100 estimates within two standard errors."""
    truth = dense(random_factors(1)), dense(random_factors(1)) + dense(random_factors(2))
    cosine = float(truth[0] @ truth[1] / np.linalg.norm(truth[0]) / np.linalg.norm(truth[1]))
    a = adapter(1, 3)
    b = a + adapter(2, 3)
    estimates, errors = [], []
    for seed in range(120):
        x, y = (Sketcher(seed, 256).of(one, one.norm())[0] for one in (a, b))
        estimates.append(float(x @ y))
        errors.append(standard_error(x, y))
    off = np.array(estimates) - cosine
    assert abs(off.mean()) < 3.0 * off.std() / np.sqrt(len(off))
    assert np.mean(errors) == pytest.approx(off.std(), rel=0.25)
    assert np.mean(np.abs(off) < 2.0 * np.array(errors)) > 0.88
