"""A figure at the edge of the numbers is right, or does not exist: never good by chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import superpose
from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput
from superpose.interference import check

LAYOUT = {"q": (60, 50), "k": (40, 50), "v": (60, 80)}


def adapter(
    name: str, seed: int, b: float = 1.0, a: float = 1.0, kind: type = np.float64
) -> Adapter:
    """Rank 4, with the factors B and A times a number."""
    rng = np.random.default_rng(seed)
    return Adapter(
        {
            module: Delta.of(
                (rng.standard_normal((out, 4)) * b).astype(kind),
                (rng.standard_normal((4, in_)) * a).astype(kind),
                2.0,
            )
            for module, (out, in_) in LAYOUT.items()
        },
        name,
    )


FIGURES = ("rms_cosine", "cosine", "rms_cosine_floor", "cosine_floor", "output_overlap",
           "input_overlap", "shared_a", "energy_shared", "norm_ratio")  # fmt: skip


def agree(found: superpose.interference.Pair, usual: superpose.interference.Pair) -> None:
    for name in FIGURES:
        expected = pytest.approx(getattr(usual, name), rel=1e-3, abs=1e-6, nan_ok=True)
        assert getattr(found, name) == expected, name
    assert found.judgement.verdict == usual.judgement.verdict


SIZES = [1e-250, 1e-160, 1e-80, 1e-25, 1e25, 1e80, 1e150]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", ["B", "A"])
def test_factors_of_any_size_have_the_figures_of_usual_ones(size: float, side: str) -> None:
    usual = check([adapter("x", 0), adapter("y", 1)])
    by = {"b": size} if side == "B" else {"a": size}
    found = check([adapter("x", 0, **by), adapter("y", 1, **by)])
    agree(found.pairs[0], usual.pairs[0])
    for x, y in zip(found.adapters, usual.adapters, strict=True):
        assert x.norm == pytest.approx(y.norm * size)
    assert found.energy_ratio == pytest.approx(usual.energy_ratio)


@pytest.mark.parametrize("size", [1e-25, 1e-18, 1e17])
def test_float32_factors_whose_products_leave_float32_are_neither_zero_nor_infinite(
    size: float,
) -> None:
    usual = check([adapter("x", 0), adapter("y", 1)])
    found = check([adapter("x", 0, size, 1.0, np.float32), adapter("y", 1, size, 1.0, np.float32)])
    agree(found.pairs[0], usual.pairs[0])


def test_one_large_and_one_small_adapter_keep_their_relation() -> None:
    usual = check([adapter("x", 0), adapter("y", 0)]).pairs[0]
    found = check([adapter("x", 0, 1e130), adapter("y", 0, 1e-130)]).pairs[0]
    assert found.cosine == pytest.approx(usual.cosine) == pytest.approx(1.0)
    assert found.norm_ratio == pytest.approx(1e260)
    assert found.contained is None or found.contained.times == pytest.approx(1e260)


def test_a_delta_beyond_float64_is_refused_by_its_module() -> None:
    with pytest.raises(BadInput, match=r"^[qkv]: the factors of a delta are too large"):
        check([adapter("x", 0, 1e160, 1e160), adapter("y", 1)])
    for one, other in ((1e160, 1.0), (1.0, 1e160), (1e160, 1e160)):
        with pytest.raises(BadInput, match=r"^[qkv]: the factors of a delta are too large"):
            superpose.cosine(adapter("x", 0, one, one), adapter("y", 1, other, other))


@settings(deadline=None, max_examples=30)
@given(st.integers(-150, 150), st.integers(-150, 150))
def test_the_cosine_does_not_depend_on_the_size(x: int, y: int) -> None:
    a, b = adapter("a", 0), adapter("b", 1)
    expected = pytest.approx(a.cosine(b), abs=1e-12)
    assert superpose.cosine(10.0**x * a, 10.0**y * b) == expected
    assert superpose.cosine(adapter("a", 0, 10.0**x), adapter("b", 1, 1.0, 10.0**y)) == expected


@pytest.mark.parametrize("size", [1e-140, 1e-80, 1e80, 1e140])
def test_the_cosine_of_deltas_whose_squares_leave_float64_is_that_of_usual_ones(
    size: float,
) -> None:
    """Both factors so large or small, which warns of nothing."""
    expected = pytest.approx(adapter("a", 0).cosine(adapter("b", 1)), abs=1e-12)
    assert superpose.cosine(adapter("a", 0, size, size), adapter("b", 1, size, size)) == expected


@pytest.mark.parametrize("left", [1e-3, 1e-6, 1e-7, 1e-9])
def test_what_is_left_of_nearly_equal_adapters_has_its_own_figures(left: float) -> None:
    """X + left * y - x is y as far as float64 resolves it, and so it is in every figure."""
    x, rewritten = adapter("x", 0), adapter("x", 0, 3.0, 1 / 3.0)
    y, z = adapter("y", 1), adapter("z", 2)
    one, other = (x + left * y) - rewritten, (x + left * z) - rewritten
    usual, found = check([y, z]), check([one, other])
    precision = 1e-13 / left
    for held, whole in zip(found.adapters, usual.adapters, strict=True):
        assert held.norm == pytest.approx(left * whole.norm, rel=precision)
    expected = pytest.approx(usual.pairs[0].cosine, abs=precision)
    assert found.pairs[0].cosine == expected
    assert superpose.cosine(one, other) == expected


def test_an_adapter_minus_itself_is_zero_and_has_no_cosine() -> None:
    x, y = adapter("x", 0), adapter("y", 1)
    (pair,) = check([x - x, y]).pairs
    assert math.isnan(pair.cosine)
    assert pair.judgement.verdict == "adds nothing"
    assert math.isnan(superpose.cosine(x - x, y))
