"""What resamples over domains and seeds hold: each factor's draw, their product, sizes' shares."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from superpose.statistics.bootstrap import cluster_counts

DOMAINS = "abcdefghi"
SUMS = [frozenset(names) for size in (2, 3, 4) for names in combinations(DOMAINS, size)]
SIZES = [len(names) for names in SUMS]


def test_each_factor_is_drawn_by_itself() -> None:
    """On a full grid every resample holds as many points as there are: 9 domains times 3 seeds."""
    grid = list(product(DOMAINS, range(3)))
    domains = [frozenset([domain]) for domain, _ in grid]
    seeds = [frozenset([seed]) for _, seed in grid]
    drawn = cluster_counts([domains, seeds], 500, np.random.default_rng(0))
    assert drawn.shape == (500, 27)
    np.testing.assert_array_equal(drawn.sum(axis=1), 27)
    # The multiplicity of a point is that of its domain times that of its seed: rank 1.
    tables = drawn.reshape(500, 9, 3)
    by_domain, by_seed = tables.sum(axis=2) / 3, tables.sum(axis=1) / 9
    np.testing.assert_array_equal(tables, by_domain[:, :, None] * by_seed[:, None, :])
    np.testing.assert_array_equal(by_domain.sum(axis=1), 9)
    np.testing.assert_array_equal(by_seed.sum(axis=1), 3)


def test_the_draws_are_those_of_a_list_with_repeats() -> None:
    """Mean and variance of a seed's multiplicity, of three drawn: 1 and 2/3; a pair's: 8/9."""
    rng = np.random.default_rng(1)
    seeds = [frozenset([seed]) for seed in range(3)]
    drawn = cluster_counts([seeds], 20_000, rng)
    assert drawn.mean(axis=0) == pytest.approx(1.0, abs=0.02)
    assert drawn.var(axis=0) == pytest.approx(2 / 3, abs=0.02)
    pairs = [names for names in SUMS if len(names) == 2]
    assert cluster_counts([pairs], 20_000, rng).mean() == pytest.approx(8 / 9, abs=0.01)


def test_sums_of_every_size_keep_their_share() -> None:
    plain = cluster_counts([SUMS], 400, np.random.default_rng(2))
    kept = cluster_counts([SUMS], 400, np.random.default_rng(2), SIZES)
    sizes = np.array(SIZES)
    for size in (2, 3, 4):
        held = kept[:, sizes == size].sum(axis=1)
        number = (sizes == size).sum()
        assert set(np.round(held, 9)) <= {0.0, float(number)}
        assert (held > 0).mean() > 0.99
        # Without it the larger sums are fewer than were measured.
        assert plain[:, sizes == size].sum(axis=1).mean() < 0.95 * number
    np.testing.assert_array_equal(kept > 0, plain > 0)


def test_a_size_that_a_resample_lacks_is_lacking_and_nothing_is_divided_by_zero() -> None:
    whole = [frozenset("abcde"), frozenset("ab"), frozenset("cd")]
    kept = cluster_counts([whole], 200, np.random.default_rng(3), [5, 2, 2])
    assert np.isfinite(kept).all()
    assert (kept[:, 0] == 0).mean() > 0.9
