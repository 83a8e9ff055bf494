"""A paired difference's error is that of a ratio on the same questions, over seeds as well."""

from __future__ import annotations

import math

import numpy as np
import pytest

from superpose.errors import BadInput
from superpose.statistics.paired import PairedRows, paired_difference


def drawn(rng: np.random.Generator, seeds: int, rows: int, by: float) -> PairedRows:
    """Answers of different lengths; a way that costs `by` more a token, questions unlike."""
    tokens = rng.integers(1, 20, rows)
    reference = rng.gamma(2.0, 1.0, (seeds, rows)) * tokens
    of_question, of_seed = rng.normal(0, 0.5, rows), rng.normal(0, 0.1, (seeds, 1))
    nll = reference + (by + of_question + (of_seed if seeds > 1 else 0.0)) * tokens
    return PairedRows(nll, reference, tokens)


@pytest.mark.parametrize("seeds", [1, 5])
def test_two_standard_errors_hold_nineteen_times_in_twenty(seeds: int) -> None:
    rng, by, inside = np.random.default_rng(3), 0.2, 0
    for _ in range(400):
        found = paired_difference([drawn(rng, seeds, 40, by), drawn(rng, seeds, 60, by)])
        inside += abs(found.difference - by) <= 2.0 * found.error
    assert 0.91 <= inside / 400 <= 0.99


def test_domains_count_alike_whatever_their_answers_lengths() -> None:
    long, short = PairedRows([300, 300], [100, 100], [100, 100]), PairedRows([3, 3], [3, 3], [1, 1])
    found = paired_difference([long, short])
    assert found.difference == pytest.approx(1.0)
    assert found.error == 0.0
    assert not found.tie
    assert paired_difference([short, short]).tie


def test_one_question_tells_nothing_and_unlike_questions_are_refused() -> None:
    found = paired_difference([PairedRows([2.0], [1.0], [1])])
    assert math.isinf(found.error)
    assert found.tie
    with pytest.raises(BadInput, match="same questions"):
        paired_difference([PairedRows([1.0, 2.0], [1.0], [1])])
    with pytest.raises(BadInput, match="no domain"):
        paired_difference([])
