"""docs/prediction.md is what is made of the tournament's committed record."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from benchmarks.prediction.again import judged_anew
from benchmarks.prediction.brief import COMMAND, brief
from benchmarks.prediction.elsewhere import gained
from benchmarks.prediction.page import PAGE, page
from benchmarks.prediction.tournament import RECORD
from benchmarks.readme import block_of


def test_the_page_is_what_the_record_says() -> None:
    """Neither lies here without the other."""
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else None
    made = page(json.loads(RECORD.read_text(encoding="utf-8"))) if RECORD.exists() else None
    assert found == made, "run `python -m benchmarks.prediction page`"


def test_the_readme_says_what_the_record_says() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert block_of(COMMAND) == brief(record), "run `python -m benchmarks.prediction page`"


def recorded() -> dict[str, Any]:
    return dict(json.loads(RECORD.read_text(encoding="utf-8")))


def ranks(values: np.ndarray) -> np.ndarray:
    """Mid-ranks."""
    order = np.sort(values)
    return np.searchsorted(order, values) + np.searchsorted(order, values, side="right")


@pytest.mark.parametrize(
    ("group", "size"), [("all", None), ("pairs", 2), ("triples", 3), ("quadruples", 4)]
)
def test_anybody_can_recompute_the_headline_from_the_points(group: str, size: int | None) -> None:
    """With numpy alone: Spearman, error and bias of every predictor that has a figure of each."""
    record = recorded()
    rows = [
        (interference, figures)
        for condition, _, domains, _, interference, figures in record["points"]
        if condition == "main" and size in (None, len(domains.split("+")))
    ]
    truth = np.array([interference for interference, _ in rows])
    assert record["groups"][group]["mean"] == pytest.approx(truth.mean(), abs=1e-5)
    compared = 0
    for place, predictor in enumerate(record["predictors"]):
        told, values = predictor["groups"][group], [figures[place] for _, figures in rows]
        if None in values or told["spearman"] is None:
            continue
        figures = np.array(values)
        spearman = np.corrcoef(ranks(figures), ranks(truth))[0, 1]
        assert told["spearman"] == pytest.approx(spearman, abs=1e-4), predictor["name"]
        if predictor["in_nats"]:
            assert told["error"] == pytest.approx(np.abs(figures - truth).mean(), rel=1e-3)
            assert told["bias"] == pytest.approx((figures - truth).mean(), rel=1e-3, abs=1e-5)
        compared += 1
    assert compared >= 15


@pytest.mark.hard
def test_the_record_is_what_its_own_points_give() -> None:
    """Every interval too: run `python -m benchmarks.prediction again` where it is not."""
    record = recorded()
    assert judged_anew(record) == record


def test_what_is_said_of_the_studies_is_in_their_tables() -> None:
    assert gained("smollm2", "tuned").gap_closed == pytest.approx(0.271, abs=5e-4)
    assert (gained("smollm2", "tuned").better, gained("smollm2", "tuned").sums) == (10, 12)
    assert gained("demo-baselines", "merged").gap_closed == pytest.approx(1.175, abs=5e-4)
