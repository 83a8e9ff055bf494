"""Intervals over seeds and rows: against Student's alone, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from superpose.statistics import over_seeds, ratio_interval

PERCENTS = st.lists(st.floats(-50, 200), min_size=2, max_size=6)


def student(values: list[float], t: float) -> tuple[float, float]:
    logs = np.log1p(np.array(values) / 100)
    half = t * logs.std(ddof=1) / math.sqrt(len(values))
    low, high = 100 * np.expm1(logs.mean() - half), 100 * np.expm1(logs.mean() + half)
    return float(low), float(high)


def test_three_seeds_widen_what_questions_alone_would_say() -> None:
    """Finance and medicine of docs/results.md, whose questions alone give [7.0, 9.8]."""
    values = [6.81291, 10.812937, 7.488756]
    ends = over_seeds(values, (6.9803, 9.8152))
    assert ends == pytest.approx((3.0, 14.0), abs=0.05)
    low, high = student(values, 4.302653)  # Student's t of two degrees of freedom, from tables
    assert (low, high) == pytest.approx((3.2, 13.8), abs=0.05)


def test_without_an_error_over_questions_it_is_students_interval() -> None:
    values = [1.0, 4.0, 9.0, 2.0]
    middle = 100 * math.expm1(np.log1p(np.array(values) / 100).mean())
    assert over_seeds(values, (middle, middle)) == pytest.approx(student(values, 3.182446))


@given(values=PERCENTS, below=st.floats(0, 20), above=st.floats(0, 20))
def test_it_reaches_as_far_as_either_alone_and_never_below_minus_100(
    values: list[float], below: float, above: float
) -> None:
    middle = 100 * math.expm1(float(np.log1p(np.array(values) / 100).mean()))
    rows = middle - below, middle + above
    low, high = over_seeds(values, rows) or (math.nan, math.nan)
    assert -100 <= low <= rows[0] + 1e-6
    assert high >= rows[1] - 1e-6
    # The normal quantile is below every Student's.
    seeds = student(values, 1.959964)
    assert low <= seeds[0] + 1e-6
    assert high >= seeds[1] - 1e-6


def test_one_seed_tells_nothing_of_others() -> None:
    assert over_seeds([3.0], (1.0, 5.0)) == (1.0, 5.0)
    assert over_seeds([3.0, 4.0], None) is None


def test_it_holds_the_truth_at_least_as_often_as_it_says() -> None:
    """Seeds, questions and both together differ; three seeds on the same 60 questions."""
    rng = np.random.default_rng(0)
    tokens, wide, narrow, trials = np.full(60, 10.0), 0, 0, 200
    for trial in range(trials):
        by_seed, by_row = rng.normal(0, 0.02, (3, 1)), rng.normal(0, 0.1, (1, 60))
        nats = 0.05 + by_seed + by_row + rng.normal(0, 0.05, (3, 60))
        rows = 10 * nats
        nothing = np.zeros(60)
        percents = [ratio_interval(row, nothing, tokens, trial, 100).percent for row in rows]
        over_rows = ratio_interval(rows.mean(axis=0), nothing, tokens, trial, 200).interval
        low, high = over_seeds(percents, over_rows) or (0.0, 0.0)
        truth = 100 * math.expm1(0.05)
        wide += low <= truth <= high
        narrow += over_rows is not None and over_rows[0] <= truth <= over_rows[1]
    assert wide / trials >= 0.95
    assert narrow / trials < 0.9
