"""Statistics with known truths: exact small cases, laws, and the coverage of the intervals."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.errors import BadInput
from superpose.study.statistics import (
    chance_correlation,
    correlate,
    permute_domains,
    perplexity_interval,
    ratio_interval,
)
from superpose.study.statistics.moments import fit

FIGURES = ("pearson", "spearman", "slope", "intercept")


def pairs_of(names: str) -> list[frozenset[str]]:
    return [frozenset(pair) for pair in combinations(names, 2)]


# Perplexity


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


# Correlation


def test_a_line_is_found_exactly() -> None:
    x = np.array([1.0, 2.0, 4.0, 7.0, 11.0])
    result = correlate(x, 3.0 - 2.0 * x, seed=0)
    assert (result.pearson, result.spearman) == pytest.approx((-1.0, -1.0))
    assert (result.slope, result.intercept) == pytest.approx((-2.0, 3.0))
    assert result.slope_interval == pytest.approx((-2.0, -2.0))


def test_spearman_sees_order_alone_and_shares_ranks_among_ties() -> None:
    assert correlate([1, 2, 3, 4], [1, 8, 27, 1000], seed=0).spearman == pytest.approx(1.0)
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
    tied = correlate([1, 2, 2, 4], [1, 2, 3, 4], seed=0).spearman
    assert tied == pytest.approx(4.5 / np.sqrt(4.5 * 5))


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), n=st.integers(4, 12))
def test_a_weighted_fit_is_the_fit_of_the_points_repeated(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n).round(1), rng.normal(size=n).round(1)
    weights = rng.integers(1, 4, n)
    repeated = fit(np.repeat(x, weights), np.repeat(y, weights), np.ones((1, weights.sum())))
    weighted = fit(x, y, weights[None].astype(float))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), scale=st.floats(1e-6, 1e6), shift=st.floats(-1e3, 1e3))
def test_correlations_do_not_depend_on_the_unit(seed: int, scale: float, shift: float) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, 8))
    plain = correlate(x, y, seed=0, resamples=100)
    moved = correlate(x * scale, y + shift, seed=0, resamples=100)
    assert moved.pearson == pytest.approx(plain.pearson, abs=1e-7)
    assert moved.slope * scale == pytest.approx(plain.slope, rel=1e-5, abs=1e-7)


def test_three_points_get_no_interval_and_are_told_that_they_prove_nothing() -> None:
    result = correlate([1.0, 2.0, 3.0], [-9.1, 4.5, 27.6], seed=0, domains=pairs_of("abc"))
    assert result.pearson == pytest.approx(np.corrcoef([1, 2, 3], [-9.1, 4.5, 27.6])[0, 1])
    assert all(getattr(result, f"{name}_interval") is None for name in FIGURES)
    assert result.note.startswith(
        "three points prove nothing: with no relation at all the median |r| of three points is 0.71"
    )


def test_three_pairs_over_several_seeds_still_prove_nothing_about_domains() -> None:
    domains, seeds = pairs_of("abc") * 4, np.repeat(range(4), 3).tolist()
    rng = np.random.default_rng(0)
    x = np.tile([1.0, 2.0, 3.0], 4) + rng.normal(0, 0.1, 12)
    result = correlate(x, x + rng.normal(0, 0.1, 12), seed=0, domains=domains, seeds=seeds)
    assert (result.n, result.combinations) == (12, 3)
    assert "12 points of three domain combinations prove nothing" in result.note
    assert "over seeds alone" in result.note
    assert result.pearson_interval is not None


@pytest.mark.parametrize(("x", "y"), [([1, 1, 1, 1], [1, 2, 3, 4]), ([1, 2, 3, 4], [0.3] * 4)])
def test_what_does_not_vary_has_no_correlation(x: list, y: list) -> None:
    result = correlate(x, y, seed=0)
    assert [getattr(result, name) for name in FIGURES] == [None] * 4
    assert "does not vary" in result.note


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_points_than_three_have_no_chance_value(n: int) -> None:
    result = correlate(range(n), range(n), seed=0)
    assert result.chance is None
    assert result.n == n
    assert "nothing" in result.note


def test_a_point_without_a_figure_is_left_out_and_counted() -> None:
    result = correlate([1, 2, np.nan, 3, 4], [1, 2, 3, 3, 4], seed=0)
    assert result.n == 4
    assert "one point without a figure" in result.note


def test_the_chance_value_is_the_median_of_unrelated_points() -> None:
    assert chance_correlation(3) == pytest.approx(np.sin(np.pi / 4), abs=1e-6)
    assert chance_correlation(4) == pytest.approx(0.5, abs=1e-6)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20_000, 7))
    simulated = [abs(float(r)) for r in np.einsum("ij,ij->i", _unit(x), _unit(y))]
    assert chance_correlation(7) == pytest.approx(np.median(simulated), abs=0.01)


def _unit(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def test_the_slope_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for trial in range(150):
        x = rng.normal(size=40)
        y = 0.5 * x + rng.normal(size=40)
        low, high = correlate(x, y, trial, resamples=300, level=0.9).slope_interval
        hits += low <= 0.5 <= high
    assert 0.80 <= hits / 150 <= 0.97


def test_points_that_share_an_adapter_get_a_wider_interval_than_independent_ones() -> None:
    """Each domain shifts x and y of all its pairs: 15 pairs of 6 domains are not 15 points."""
    rng = np.random.default_rng(1)
    domains = pairs_of("abcdef")
    effect = {name: rng.normal(size=2) for name in "abcdef"}
    points = np.array([sum(effect[name] for name in pair) for pair in domains])
    points += rng.normal(0, 0.1, points.shape)
    honest = correlate(points[:, 0], points[:, 1], seed=0, domains=domains).slope_interval
    naive = correlate(points[:, 0], points[:, 1], seed=0).slope_interval
    assert honest[1] - honest[0] > 1.3 * (naive[1] - naive[0])


def test_copies_of_a_seed_add_no_certainty() -> None:
    """Ten identical points a seed: resampling seeds gives the interval of the seeds alone."""
    x, y = np.random.default_rng(3).normal(size=(2, 8))
    once = correlate(x, y, seed=0, seeds=list(range(8)))
    tenfold = correlate(
        np.repeat(x, 10), np.repeat(y, 10), seed=0, seeds=[*np.repeat(range(8), 10)]
    )
    assert tenfold.slope_interval == pytest.approx(once.slope_interval)


def test_too_few_seeds_or_domains_give_no_interval_and_a_reason() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 12))
    two_seeds = correlate(x, y, seed=0, seeds=[0, 1] * 6)
    assert two_seeds.slope_interval is None
    assert "two seeds: too few to resample" in two_seeds.note
    four_domains = correlate(x[:6], y[:6], seed=0, domains=pairs_of("abcd"))
    assert four_domains.slope_interval is None
    assert "four domains: too few to resample" in four_domains.note


def test_the_same_seed_gives_the_same_figures() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 10))
    assert correlate(x, y, seed=1) == correlate(x, y, seed=1)
    assert correlate(x, y, seed=1) != correlate(x, y, seed=2)


def test_the_figures_of_a_correlation_can_be_written_as_json() -> None:
    record = correlate([1, 2, 3, 5], [1, 2, 2, 3], seeds=[0, 1, 2, 3]).to_json()
    assert json.loads(json.dumps(record)) == record
    assert len(record["slope_interval"]) == 2


def test_lengths_that_differ_are_bad_input() -> None:
    with pytest.raises(BadInput, match="each point"):
        correlate([1, 2, 3], [1, 2], seed=0)
    with pytest.raises(BadInput, match="each point"):
        correlate([1, 2, 3], [1, 2, 3], seed=0, seeds=[1, 2])


# Permutation


def test_a_relation_that_follows_the_domains_gets_the_smallest_p_there_is() -> None:
    """Only the true order of five domains, and none of the other 119, gives the largest r."""
    domains = pairs_of("abcde")
    x = np.random.default_rng(0).normal(size=10)
    result = permute_domains(x, x.copy(), domains)
    assert result.p == pytest.approx(1 / 120)
    assert result.orders == 120
    assert correlate(x, x, seed=0, domains=domains).permutation_p == result.p


def test_without_a_relation_p_is_uniform() -> None:
    rng = np.random.default_rng(8)
    domains = pairs_of("abcde")
    p = [permute_domains(*rng.normal(size=(2, 10)), domains).p for _ in range(200)]
    assert 0.05 <= np.mean(np.array(p) <= 0.1) <= 0.17
    assert np.mean(p) == pytest.approx(0.5, abs=0.07)


def test_many_domains_are_permuted_by_a_seeded_sample() -> None:
    domains = pairs_of("abcdefgh")
    x = np.random.default_rng(0).normal(size=28)
    result = permute_domains(x, x.copy(), domains, seed=1)
    assert result == permute_domains(x, x.copy(), domains, seed=1)
    assert result.p == pytest.approx(1 / 5000)


@pytest.mark.parametrize(
    ("domains", "seeds", "said"),
    [
        (pairs_of("abc"), None, "3 domains: too few orders"),
        (pairs_of("abcd")[:5], None, "combinations are missing"),
        (pairs_of("abcd") * 2, None, "occurs twice"),
        (None, None, "without domain labels"),
    ],
)
def test_where_labels_cannot_be_permuted_the_reason_is_given(
    domains: list | None, seeds: list | None, said: str
) -> None:
    n = 3 if domains is None else len(domains)
    result = permute_domains(np.arange(n) * 1.0, np.arange(n) ** 2.0, domains, seeds)
    assert result.p is None
    assert said in result.reason


def test_seeds_are_permuted_alike() -> None:
    domains = pairs_of("abcd") * 3
    seeds = np.repeat(range(3), 6).tolist()
    x = np.random.default_rng(0).normal(size=18)
    assert permute_domains(x, x.copy(), domains, seeds).p == pytest.approx(1 / 24)
