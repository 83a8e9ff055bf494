"""The rule by which scales are tried finds the best one of a smooth curve in few steps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from superpose.measure.scale_search import next_scale


@given(st.floats(-1.5, 1.5), st.floats(0.1, 10.0))
def test_it_comes_near_the_least_of_a_parabola_wherever_it_lies(at: float, width: float) -> None:
    known = {1.0: width * at**2}
    for _ in range(7):
        scale = next_scale(known)
        assert scale not in known
        known[scale] = width * (math.log(scale) - at) ** 2
    assert abs(math.log(min(known, key=known.__getitem__)) - at) < 0.05


def test_where_everything_larger_breaks_the_model_it_goes_down() -> None:
    known = {1.0: math.inf}
    for _ in range(4):
        scale = next_scale(known)
        known[scale] = math.inf if scale > 0.5 else scale
    assert min(known) < 0.4


@given(st.dictionaries(st.floats(0.01, 100), st.floats(0, 10), min_size=1, max_size=8))
def test_it_always_gives_a_scale_above_zero(known: dict[float, float]) -> None:
    assert 0.0 < next_scale(known) < math.inf


def test_a_flat_curve_is_halved() -> None:
    assert next_scale({0.5: 1.0, 1.0: 0.0, 4.0: 0.0}) == pytest.approx(2.0)
