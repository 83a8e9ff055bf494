"""Perplexities with known truths: exact small cases and the coverage of the intervals."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.errors import BadInput
from superpose.statistics import (
    correlate,
    perplexity_interval,
    ratio_interval,
    share_interval,
)


def test_perplexity_is_weighted_by_tokens_not_by_rows() -> None:
    result = perplexity_interval([9.0, 1.0], [1, 9], seed=0)
    assert result.nll == pytest.approx(1.0)
    assert result.perplexity == pytest.approx(np.e)
    assert (result.rows, result.tokens) == (2, 10)


def test_an_interval_holds_the_estimate_and_both_scales_agree() -> None:
    rng = np.random.default_rng(0)
    result = perplexity_interval(rng.gamma(4.0, 5.0, 50), rng.integers(8, 30, 50), seed=1)
    low, high = result.nll_interval
    assert low < result.nll < high
    assert result.perplexity_interval == pytest.approx((np.exp(low), np.exp(high)))


def test_rows_that_say_the_same_have_an_interval_of_no_width() -> None:
    result = perplexity_interval([2.0] * 10, [4] * 10, seed=0)
    assert result.nll_interval == pytest.approx((0.5, 0.5))


def test_one_row_has_no_interval() -> None:
    assert perplexity_interval([2.0], [4], seed=0).perplexity_interval is None
    assert ratio_interval([2.0], [1.0], [4], seed=0).interval is None


def test_the_perplexity_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Rows of gamma nats with mean 2 a token: 200 test sets of 60 rows, level 90 %."""
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        tokens = rng.integers(8, 30, 60)
        nll = tokens * rng.gamma(4.0, 0.5, 60)
        low, high = perplexity_interval(nll, tokens, trial, 300, level=0.9).nll_interval
        hits += low <= 2.0 <= high
    assert 0.82 <= hits / 200 <= 0.96


def test_an_interval_over_rows_is_as_wide_as_theory_says() -> None:
    """Equal lengths: the standard error of a mean, 1.96 of it to each side."""
    nll = np.random.default_rng(2).normal(20.0, 3.0, 400)
    low, high = perplexity_interval(nll, np.full(400, 10), seed=0).nll_interval
    expected = 2 * 1.96 * nll.std() / 10 / np.sqrt(400)
    assert high - low == pytest.approx(expected, rel=0.08)


def test_a_test_set_larger_than_a_chunk_gives_the_same_kind_of_interval() -> None:
    nll = np.random.default_rng(3).normal(20.0, 3.0, 30_000)
    low, high = perplexity_interval(nll, np.full(30_000, 10), seed=0, resamples=200).nll_interval
    assert high - low == pytest.approx(2 * 1.96 * 0.3 / np.sqrt(30_000), rel=0.25)


def test_dppl_of_known_perplexities() -> None:
    """Perplexity 4 against 5 is 20 % better, against 2 it is 100 % worse."""
    four = np.log(4.0) * np.array([3, 5])
    assert ratio_interval(four, np.log(5.0) * np.array([3, 5]), [3, 5], 0).percent == (
        pytest.approx(-20.0)
    )
    assert ratio_interval(four, np.log(2.0) * np.array([3, 5]), [3, 5], 0).percent == (
        pytest.approx(100.0)
    )


def test_pairing_makes_the_interval_narrow_where_rows_are_hard_for_both() -> None:
    rng = np.random.default_rng(4)
    tokens = rng.integers(8, 30, 80)
    hard = tokens * rng.gamma(2.0, 1.0, 80)
    result = ratio_interval(hard + 0.1 * tokens, hard, tokens, seed=0)
    assert result.percent == pytest.approx(100 * np.expm1(0.1))
    assert result.interval == pytest.approx((result.percent, result.percent))


def test_the_ratio_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(6)
    hits = 0
    for trial in range(200):
        tokens = rng.integers(8, 30, 60)
        reference = tokens * rng.gamma(4.0, 0.5, 60)
        nll = reference + tokens * rng.normal(0.05, 0.2, 60)
        low, high = ratio_interval(nll, reference, tokens, trial, 300, level=0.9).interval
        hits += low <= 100 * np.expm1(0.05) <= high
    assert 0.82 <= hits / 200 <= 0.96


def test_a_share_of_a_known_gain() -> None:
    """Half of 2 nats a row is left; of no gain there is no share, of one row no interval."""
    found = share_interval([2.0, 3.0], [3.0, 4.0], [1.0, 2.0], seed=0)
    assert (found.share, found.interval) == (0.5, (0.5, 0.5))
    assert share_interval([2.0], [3.0], [1.0], seed=0).interval is None
    assert share_interval([2.0, 2.0], [1.0, 1.0], [1.0, 1.5], seed=0).share is None


def test_the_interval_of_a_share_covers_the_truth_though_only_the_gain_varies() -> None:
    """Each row loses the same, so the loss has an interval of no width, and the share has one."""
    rng = np.random.default_rng(9)
    hits = 0
    for trial in range(200):
        own, gain = rng.gamma(4.0, 0.5, 60), rng.gamma(4.0, 0.5, 60)
        low, high = share_interval(own + 0.4, own + gain, own, trial, 300, 0.9).interval
        hits += low <= 1 - 0.4 / 2 <= high
    assert ratio_interval(own + 0.4, own, np.ones(60), 0).interval == pytest.approx(
        [100 * np.expm1(0.4)] * 2
    )
    assert 0.82 <= hits / 200 <= 0.96


@pytest.mark.parametrize(
    ("nll", "tokens", "said"),
    [
        ([], [], "at least one row"),
        ([1.0], [1, 2], "at least one row"),
        ([[1.0]], [[1]], "at least one row"),
        ([1.0, np.nan], [1, 1], "not finite"),
        ([1.0, 2.0], [3, 0], "row 1 has no answer tokens"),
    ],
)
def test_rows_that_cannot_be_scored_are_bad_input(nll: list, tokens: list, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        perplexity_interval(nll, tokens, seed=0)


def test_too_few_resamples_and_impossible_levels_are_bad_input() -> None:
    with pytest.raises(BadInput, match="resamples"):
        perplexity_interval([1.0, 2.0], [1, 1], seed=0, resamples=5)
    with pytest.raises(BadInput, match="between 0 and 1"):
        correlate([1, 2, 3, 4], [1, 2, 3, 5], seed=0, level=95)
