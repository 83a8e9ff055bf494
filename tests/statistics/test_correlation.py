"""Correlations with known truths: exact small cases, laws, and the coverage of the intervals."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.errors import BadInput
from superpose.statistics import chance_correlation, correlate, permute_domains
from superpose.statistics.moments import fit

FIGURES = ("pearson", "spearman", "slope", "intercept")


def pairs_of(names: str) -> list[frozenset[str]]:
    return [frozenset(pair) for pair in combinations(names, 2)]


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
    assert "three domains and four seeds: too few to resample; no interval" in result.note
    assert result.pearson_interval is None


def test_seeds_however_many_give_no_interval_of_few_domains() -> None:
    domains, seeds = pairs_of("abcd") * 6, np.repeat(range(6), 6).tolist()
    x, y = np.random.default_rng(0).normal(size=(2, 36))
    result = correlate(x, y, domains=domains, seeds=seeds)
    assert [getattr(result, f"{name}_interval") for name in FIGURES] == [None] * 4
    assert "four domains: too few to resample; no interval" in result.note


def test_three_seeds_beside_enough_domains_are_drawn_too_and_named() -> None:
    domains, seeds = pairs_of("abcde") * 3, np.repeat(range(3), 10).tolist()
    rng = np.random.default_rng(0)
    shift = np.repeat([0.0, 3.0, 9.0], 10)
    x, y = rng.normal(size=30) + shift, rng.normal(size=30) + shift
    both = correlate(x, y, domains=domains, seeds=seeds)
    assert both.intercept_interval is not None
    assert "the intervals know of three seeds alone, and say little of others" in both.note
    domains_alone = correlate(x, y, domains=domains)
    assert "seeds" not in domains_alone.note
    assert both.pearson_interval != domains_alone.pearson_interval


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
    record = correlate([1, 2, 3, 5, 6], [1, 2, 2, 3, 2], seeds=[0, 1, 2, 3, 4]).to_json()
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
