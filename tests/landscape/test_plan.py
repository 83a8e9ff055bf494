"""Whether sums are measured or foretold: what costs no more passes, unless one is asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from superpose.errors import BadInput
from superpose.landscape.plan import asked_points, plan_of
from superpose.landscape.subsets import design_points


@pytest.mark.parametrize(
    ("adapters", "chosen", "measure", "forecast"),
    [(1, "measure", 2, 4), (2, "measure", 3, 6), (3, "measure", 5, 8), (4, "measure", 9, 10),
     (5, "forecast", 17, 12), (8, "forecast", 129, 18)],
)  # fmt: skip
def test_every_sum_is_measured_up_to_four_adapters_and_foretold_from_five(
    adapters: int, chosen: str, measure: int, forecast: int
) -> None:
    plan = plan_of(adapters)
    assert (plan.chosen, plan.measure, plan.forecast) == (chosen, measure, forecast)
    assert plan.passes == min(measure, forecast)
    assert len(asked_points(0, adapters)) == measure
    with_slope, plain = design_points(0, adapters)
    assert 2 * len(with_slope) + len(plain) == forecast


def test_a_weighting_is_measured_whatever_the_number_of_adapters() -> None:
    assert plan_of(16, weightings=[[0.5] * 16]).measure == 3
    assert plan_of(16, weightings=[[0.5] * 16]).chosen == "measure"
    assert plan_of(2, weightings=np.random.default_rng(0).random((9, 2))).chosen == "forecast"


def test_a_plan_that_is_asked_for_is_taken() -> None:
    assert plan_of(3, "forecast").passes == 8
    assert plan_of(6, "measure").passes == 33
    with pytest.raises(BadInput, match="too many to measure"):
        plan_of(13, "measure")


def test_what_is_measured_is_the_base_the_own_adapter_and_each_sum_that_holds_it_once() -> None:
    points = [tuple(point) for point in asked_points(1, 4)]
    every = itertools.product([0.0, 1.0], repeat=4)
    assert sorted(points) == sorted(p for p in every if p[1] == 1 or not any(p))
    weightings = [[0, 1, 0, 0], [0.5, 0.5, 0, -0.0], [0.5, 0.5, 0, 0]]
    assert len(asked_points(1, 4, weightings)) == 3


def test_the_other_way_is_said_with_its_cost() -> None:
    said = plan_of(3).to_json(48, 1000, 10.0)
    assert said == {
        "chosen": "measure",
        "rows": 48,
        "measure": {"passes": 5.0, "tokens": 5000, "seconds": 10.0},
        "forecast": {"passes": 8.0, "tokens": 8000, "seconds": 16.0},
    }
