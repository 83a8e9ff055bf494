"""Shares of few, against tables and against all outcomes there are."""

from __future__ import annotations

from math import comb

import pytest

from superpose.errors import BadInput
from superpose.statistics import clopper_pearson, wilson


@pytest.mark.parametrize(
    ("hits", "of", "ends"),
    [
        (9, 9, (0.025 ** (1 / 9), 1.0)),
        (0, 9, (0.0, 1 - 0.025 ** (1 / 9))),
        # Quantiles of the beta distribution, from scipy.
        (5, 10, (0.1870860, 0.8129140)),
        (53, 56, (0.8513255, 0.9888130)),
    ],
)
def test_the_ends_are_those_of_the_exact_binomial_tails(
    hits: int, of: int, ends: tuple[float, float]
) -> None:
    assert clopper_pearson(hits, of) == pytest.approx(ends, abs=1e-6)


@pytest.mark.parametrize("of", [1, 4, 9, 25])
def test_no_true_share_is_missed_more_often_than_the_level_allows(of: int) -> None:
    ends = [clopper_pearson(hits, of, 0.9) for hits in range(of + 1)]
    for share in (0.01, 0.2, 0.5, 0.77, 0.99):
        held = sum(
            comb(of, hits) * share**hits * (1 - share) ** (of - hits)
            for hits, (low, high) in enumerate(ends)
            if low <= share <= high
        )
        assert held >= 0.9


@pytest.mark.parametrize(
    ("hits", "of", "level"), [(3, 2, 0.9), (-1, 2, 0.9), (0, 0, 0.9), (1, 2, 1)]
)
def test_what_is_no_share_is_refused(hits: int, of: int, level: float) -> None:
    with pytest.raises(BadInput):
        clopper_pearson(hits, of, level)


def test_wilsons_interval_is_where_the_share_is_at_the_border_of_chance() -> None:
    """Its ends solve (share - p)^2 = z^2 p (1 - p) / of, for any share and any number."""
    for share, of in ((0.5, 100), (0.31, 17.5), (0.0, 12), (1.0, 12)):
        for end in wilson(share * of, of):
            spread = 1.959963984540054**2 * end * (1 - end) / of
            assert (share - end) ** 2 == pytest.approx(spread, abs=1e-12)
    with pytest.raises(BadInput, match="no share"):
        wilson(11, 10)
    with pytest.raises(BadInput, match="level"):
        wilson(5, 10, level=1.0)
