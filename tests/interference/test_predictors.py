"""Data-free predictors: dense matrices as oracles, and what may not change them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput
from superpose.interference.predictors import DATA_FREE, Case, Predictor
from superpose.lowrank import dense, input_basis, output_basis

BY_NAME = {predictor.name: predictor for predictor in DATA_FREE}
FACTORS = {"cosine of A", "cosine of B"}
"""What is said of the factors, not of the delta."""

SCALED = {
    "norm",
    "norm ratio",
    "isotropic quadratic",
    "residual energy",
    "energy inside",
    "singular task interference",
}
"""What grows with the others."""

SHAPES = {"q": (12, 9), "v": (7, 11)}


def adapter(seed: int, rank: int = 2, modules: tuple[str, ...] = ("q", "v")) -> Adapter:
    rng = np.random.default_rng(seed)
    return Adapter(
        {
            name: Delta.of(
                rng.standard_normal((SHAPES[name][0], rank)).astype(np.float32),
                rng.standard_normal((rank, SHAPES[name][1])).astype(np.float32),
                0.5,
            )
            for name in modules
        },
        f"a{seed}",
    )


def matrices(found: Adapter) -> dict[str, np.ndarray]:
    return {name: np.asarray(dense(delta.terms), dtype=np.float64) for name, delta in found.items()}


def refactored(found: Adapter, seed: int) -> Adapter:
    """The same deltas: A -> RA, B -> B R^-1."""
    rng = np.random.default_rng(seed)
    deltas = {}
    for name, delta in found.items():
        ((c, B, A),) = delta.terms
        R = np.eye(A.shape[0]) * 2 + 0.5 * rng.uniform(-1, 1, (A.shape[0], A.shape[0]))
        deltas[name] = Delta.of(B @ np.linalg.inv(R), R @ A, c)
    return Adapter(deltas, found.name)


def mean_overlap(case: Case, basis: Callable[..., np.ndarray]) -> float:
    rest = sum(case.others[1:], case.others[0])
    values = []
    for name, delta in case.own.items():
        x, y = basis(delta.terms), basis(rest[name].terms)
        values.append(np.sum((x.T @ y) ** 2) / min(x.shape[1], y.shape[1]))
    return float(np.mean(values))


def flat(found: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([found[name].ravel() for name in sorted(found)])


def rms_cosine(own: dict[str, np.ndarray], rest: dict[str, np.ndarray]) -> float:
    cosines = [
        np.vdot(own[m], rest[m]) / np.linalg.norm(own[m]) / np.linalg.norm(rest[m]) for m in own
    ]
    return float(np.sqrt(np.mean(np.square(cosines))))


def projected(own: np.ndarray, rest: np.ndarray, rank: int) -> np.ndarray:
    """What of `rest` lies between the leading singular vectors of `own`."""
    U, _, Vt = np.linalg.svd(own)
    P, Q = U[:, :rank], Vt[:rank].T
    return np.asarray(P @ P.T @ rest @ Q @ Q.T)


def singular_interference(deltas: list[np.ndarray], ranks: list[int]) -> float:
    """The paper's definition, entry by entry."""
    parts = [np.linalg.svd(delta, full_matrices=False) for delta in deltas]
    U = np.hstack([u[:, :r] for (u, _, _), r in zip(parts, ranks, strict=True)])
    V = np.hstack([vt[:r].T for (_, _, vt), r in zip(parts, ranks, strict=True)])
    S = np.diag(np.concatenate([s[:r] for (_, s, _), r in zip(parts, ranks, strict=True)]))
    return float(np.abs((U.T @ U - np.eye(len(S))) @ S @ (V.T @ V - np.eye(len(S)))).sum())


def oracles(case: Case) -> dict[str, float]:
    """Every predictor from dense matrices."""
    own = matrices(case.own)
    rest = {m: sum(matrices(other)[m] for other in case.others) for m in own}
    x, y = flat(own), flat(rest)
    each = [own, *map(matrices, case.others)]
    ranks = [a["q"].rank for a in (case.own, *case.others)]
    inside = {m: projected(own[m], rest[m], ranks[0]) for m in own}
    outside = flat({m: rest[m] - inside[m] for m in own})

    def factor(which: str) -> float:
        values = []
        for other in case.others:
            for m in own:
                a, b = (np.asarray(getattr(z[m].terms[0], which)) for z in (case.own, other))
                values.append(np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))
        return float(np.sqrt(np.mean(np.square(values))))

    return {
        "constant": 1.0,
        "count": float(len(case.others)),
        "1/k law": 1 - 1 / (1 + len(case.others)),
        "norm": float(np.linalg.norm(y)),
        "norm ratio": float(np.linalg.norm(y) / np.linalg.norm(x)),
        "rms cosine": rms_cosine(own, rest),
        "rms cosine, summed": sum(rms_cosine(own, matrices(other)) for other in case.others),
        "cosine": float(x @ y / np.linalg.norm(x) / np.linalg.norm(y)),
        "cosine of A": factor("A"),
        "cosine of B": factor("B"),
        "input overlap": mean_overlap(case, input_basis),
        "output overlap": mean_overlap(case, output_basis),
        "isotropic quadratic": float(x @ y + y @ y / 2),
        "residual energy": float(outside @ outside / ((x + y) @ (x + y))),
        "energy inside": float(np.linalg.norm(flat(inside)) / np.linalg.norm(x)),
        "singular task interference": float(
            np.mean([singular_interference([a[m] for a in each], ranks) for m in own])
        ),
    }


@pytest.mark.parametrize("others", [1, 2, 3])
def test_every_predictor_is_what_dense_matrices_give(others: int) -> None:
    case = Case(adapter(0), tuple(adapter(1 + k) for k in range(others)))
    found = {predictor.name: predictor.predict(case) for predictor in DATA_FREE}
    wanted = oracles(case)
    assert set(found) == set(wanted)
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.integers(1, 2))
def test_a_predictor_of_deltas_does_not_see_how_they_are_factored(seed: int, others: int) -> None:
    own, rest = adapter(seed), [adapter(seed + 1 + k) for k in range(others)]
    case = Case(own, tuple(rest))
    again = Case(refactored(own, seed), tuple(refactored(each, seed + 7) for each in rest))
    for predictor in DATA_FREE:
        if predictor.name not in FACTORS:
            assert predictor.predict(again) == pytest.approx(
                predictor.predict(case), rel=2e-3, abs=1e-5
            ), predictor.name


def test_the_cosines_of_factors_do_see_how_they_are_factored() -> None:
    own, other = adapter(0), adapter(1)
    changed = Case(refactored(own, 3), (other,))
    for name in FACTORS:
        predict = BY_NAME[name].predict
        assert predict(changed) != pytest.approx(predict(Case(own, (other,))), rel=1e-2)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.floats(0.1, 10))
def test_angles_and_overlaps_do_not_see_sizes_and_norms_do(seed: int, size: float) -> None:
    own, rest = adapter(seed), adapter(seed + 1)
    case, larger = Case(own, (rest,)), Case(own, (size * rest,))
    for predictor in DATA_FREE:
        before, after = predictor.predict(case), predictor.predict(larger)
        if predictor.name in {"norm", "norm ratio"}:
            assert after == pytest.approx(size * before, rel=1e-4)
        elif predictor.name not in SCALED:
            assert after == pytest.approx(before, rel=1e-4, abs=1e-7), predictor.name


@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_one_size_of_all_changes_no_ratio(size: float) -> None:
    """Adapters far below or above length 1 have the figures of others."""
    own, rest = adapter(0), adapter(1)
    case, sized = Case(own, (rest,)), Case(size * own, (size * rest,))
    powers = {"norm": 1, "singular task interference": 1, "isotropic quadratic": 2}
    for predictor in DATA_FREE:
        expected = predictor.predict(case) * size ** powers.get(predictor.name, 0)
        assert predictor.predict(sized) == pytest.approx(expected, rel=1e-5), predictor.name


@pytest.mark.parametrize("predictor", DATA_FREE, ids=lambda each: each.name)
def test_the_order_of_the_others_does_not_matter(predictor: Predictor[Case]) -> None:
    one, two, three = (adapter(seed) for seed in (0, 1, 2))
    assert predictor.predict(Case(one, (two, three))) == pytest.approx(
        predictor.predict(Case(one, (three, two))), rel=1e-5
    )


def test_a_module_that_one_side_has_alone_counts_in_its_norm_only() -> None:
    whole, part = adapter(0), adapter(1, modules=("q",))
    case = Case(whole, (part,))
    alone = Case(Adapter({"q": whole["q"]}, "q"), (part,))
    for name in ("rms cosine", "output overlap", "cosine of B", "norm"):
        assert BY_NAME[name].predict(case) == pytest.approx(BY_NAME[name].predict(alone))
    assert BY_NAME["norm ratio"].predict(case) < BY_NAME["norm ratio"].predict(alone)


def test_what_does_not_exist_is_nan() -> None:
    zero = Case(0.0 * adapter(0), (adapter(1),))
    missing = {p.name for p in DATA_FREE if math.isnan(p.predict(zero))}
    assert missing >= {"rms cosine", "cosine", "norm ratio", "output overlap", "cosine of B"}
    assert missing >= {"rms cosine, summed", "energy inside", "singular task interference"}
    both = 0.0 * adapter(0)
    assert math.isnan(BY_NAME["residual energy"].predict(Case(both, (both,))))
    assert math.isnan(BY_NAME["cosine of A"].predict(Case(adapter(0), (adapter(1, rank=3),))))


def test_deltas_that_are_orthogonal_on_one_side_have_no_singular_interference() -> None:
    """And what one writes outside the other's outputs is residual energy whole."""
    B, A = np.eye(6, dtype=np.float32), np.ones((1, 4), dtype=np.float32)
    own = Adapter({"q": Delta.of(B[:, :1], A)}, "a")
    other = Adapter({"q": Delta.of(B[:, 1:2], A)}, "b")
    case = Case(own, (other,))
    assert BY_NAME["singular task interference"].predict(case) == pytest.approx(0, abs=1e-12)
    assert BY_NAME["energy inside"].predict(case) == pytest.approx(0, abs=1e-12)
    assert BY_NAME["residual energy"].predict(case) == pytest.approx(0.5)
    same = Case(own, (own,))
    assert BY_NAME["energy inside"].predict(same) == pytest.approx(1)
    assert BY_NAME["residual energy"].predict(same) == pytest.approx(0, abs=1e-12)


def test_a_direction_that_is_rounding_does_not_count_as_a_singular_vector() -> None:
    """A smaller rank may stand in a file as padding that is not quite zero."""
    own, other = adapter(0), adapter(1)
    ((c, B, A),), ((_, more, rows),) = other["q"].terms, adapter(2)["q"].terms
    wider = Delta.of(np.hstack([B, 1e-9 * more]), np.vstack([A, rows]), c)
    padded = {"v": other["v"], "q": wider}
    predict = BY_NAME["singular task interference"].predict
    found = predict(Case(own, (Adapter(padded, "padded"),)))
    assert found == pytest.approx(predict(Case(own, (other,))), rel=1e-5)


def test_an_adapter_alone_is_no_case() -> None:
    with pytest.raises(BadInput, match="alone"):
        Case(adapter(0), ())


def test_names_differ_and_none_of_them_needs_data() -> None:
    assert len(BY_NAME) == len(DATA_FREE)
    assert {predictor.needs for predictor in DATA_FREE} == {frozenset()}
