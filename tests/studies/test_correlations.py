"""What a study holds against its sums: predictors of interference, from the weights' record."""

from __future__ import annotations

import json
import math
from itertools import combinations

import pytest
from tests.interference.pairs import Size, random

from superpose.adapter import Adapter
from superpose.interference import check
from superpose.interference.predictors import Case
from superpose.studies.correlations import FIGURES, OF_PAIRS, _figures

SIZE = Size(modules=3)
ADAPTERS = [(k + 1.0) * random(SIZE, k) for k in range(3)]
NAMES = ("math", "medicine", "finance")


def figures(adapters: list[Adapter], names: tuple[str, ...]) -> dict[str, float | None]:
    """From the file that a study keeps."""
    recorded = json.loads(json.dumps(check(adapters).to_json()))
    return _figures(recorded, NAMES, names)


@pytest.mark.parametrize("places", [(0, 1), (0, 2), (0, 1, 2)])
def test_a_subsets_figures_are_means_of_predictors_over_its_pairs(places: tuple[int, ...]) -> None:
    """Of a pair the smaller adapter is the own one; the adapters grow in their order."""
    cases = [Case(ADAPTERS[i], (ADAPTERS[j],)) for i, j in combinations(places, 2)]
    found = figures(ADAPTERS, tuple(NAMES[place] for place in places))
    for key, predictor in zip(FIGURES, OF_PAIRS, strict=False):
        wanted = math.fsum(predictor.predict(case) for case in cases) / len(cases)
        assert found[key] == pytest.approx(wanted, rel=1e-5, abs=1e-7), key
    whole = sum(ADAPTERS[place] for place in places[1:]) + ADAPTERS[places[0]]
    assert found["norm"] == pytest.approx(whole.norm(), rel=1e-5)
    assert list(found) == list(FIGURES)


def test_the_larger_of_a_pair_may_come_first() -> None:
    found = figures(ADAPTERS[::-1], ("math", "medicine"))
    assert found == pytest.approx(figures([*ADAPTERS[1:], ADAPTERS[0]], ("math", "medicine")))


def test_what_a_pair_does_not_have_is_left_out() -> None:
    with_nothing = [ADAPTERS[0], 0.0 * ADAPTERS[1], ADAPTERS[2]]
    assert figures(with_nothing, ("math", "medicine"))["norm_ratio"] is None
    every = figures(with_nothing, NAMES)
    assert every["norm_ratio"] == figures(with_nothing, ("math", "finance"))["norm_ratio"]
