"""The recipe in CONTRIBUTING for a predictor gives one that the tests of predictors hold."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests.interference import test_predictors as battery

from superpose.interference import predictors
from superpose.interference.predictors import DATA_FREE, Case, Predictor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Predictor[Case]:
    """The predictor that the recipe shows, in the table."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"## To add a predictor.*?```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    predictor: Predictor[Case] = eval(found[1], vars(predictors))
    monkeypatch.setattr(battery, "DATA_FREE", (*DATA_FREE, predictor))
    return predictor


def test_a_predictor_without_its_definition_is_named(listed: Predictor[Case]) -> None:
    with pytest.raises(AssertionError, match=listed.name):
        battery.test_every_predictor_is_what_dense_matrices_give(1)


@pytest.mark.usefixtures("listed")
def test_the_predictor_of_the_recipe_passes_with_its_definition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defined = battery.oracles

    def oracles(case: Case) -> dict[str, float]:
        own, (other, *rest) = battery.matrices(case.own), map(battery.matrices, case.others)
        total = {m: sum((each[m] for each in rest), other[m]) for m in own}
        return defined(case) | {
            "largest cosine": max(
                abs(np.vdot(own[m], total[m])) / np.linalg.norm(own[m]) / np.linalg.norm(total[m])
                for m in own
            )
        }

    monkeypatch.setattr(battery, "oracles", oracles)
    for others in (1, 2, 3):
        battery.test_every_predictor_is_what_dense_matrices_give(others)
    battery.test_a_predictor_of_deltas_does_not_see_how_they_are_factored()
    battery.test_angles_and_overlaps_do_not_see_sizes_and_norms_do()
    battery.test_the_order_of_the_others_does_not_matter(battery.DATA_FREE[-1])
