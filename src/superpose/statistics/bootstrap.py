"""The bootstrap that every interval of a study comes from.

A resample is a row of multiplicities, how often it holds each point, rather than a list of
points: sums over a resample are then matrix products, and clusters are products of counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput

__all__ = ["Floats", "Interval", "check_sampling", "cluster_counts", "counts", "percentiles"]

Floats: TypeAlias = NDArray[np.float64]
Interval: TypeAlias = tuple[float, float]
"""Lower and upper end."""

_CHUNK = 2_000_000
"""Multiplicities held at a time (16 MB), however many rows a test set has."""


def check_sampling(resamples: int, level: float) -> None:
    """Raises BadInput for fewer than 100 resamples or a level outside (0, 1)."""
    if resamples < 100:
        raise BadInput(f"{resamples} resamples give no interval", hint="Use at least 100.")
    if not 0 < level < 1:
        raise BadInput(f"a level lies between 0 and 1, and {level} does not")


def counts(points: int, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Multiplicities (chunk, points) of drawing `points` of the points with replacement.

    All chunks together have `resamples` rows.
    """
    chunk = max(1, _CHUNK // points)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        yield rng.multinomial(points, np.full(points, 1 / points), size=size).astype(np.float64)


def cluster_counts(
    factors: Sequence[Sequence[frozenset[Hashable]]],
    resamples: int,
    rng: np.random.Generator,
    sizes: Sequence[int] | None = None,
) -> Floats:
    """Multiplicities (resamples, points) when clusters are drawn instead of points.

    factors: of each factor, each point's clusters: one training seed, the several domains of a sum.
    Every factor's clusters are drawn by themselves, as many as there are, with replacement, and a
    point counts as often as the product says over all its clusters (Owen, "The pigeonhole
    bootstrap", 2007, doi:10.1214/07-AOAS122; there a point has one row and one column. For several
    clusters of one factor it is the number of ways of picking one drawn copy of each).

    sizes: each point's, such as the number of adapters of its sum. The product is above 0 less
    often for a point of many clusters, so resamples would hold fewer of the larger sums than were
    measured. Multiplicities are scaled for every size to have its share of the points in each
    resample that holds any of it.
    """
    total = np.ones((resamples, len(factors[0])))
    for members in factors:
        clusters = sorted({cluster for member in members for cluster in member}, key=repr)
        column = {cluster: index for index, cluster in enumerate(clusters)}
        drawn = np.concatenate(list(counts(len(clusters), resamples, rng)))
        for point, member in enumerate(members):
            total[:, point] *= np.prod(drawn[:, [column[each] for each in member]], axis=1)
    return total if sizes is None else _at_their_share(total, np.asarray(sizes))


def _at_their_share(drawn: Floats, sizes: NDArray[np.int_]) -> Floats:
    """Scale the multiplicities of each size's points to add up to their number, or to none."""
    kept = drawn.copy()
    for size in np.unique(sizes):
        of_it = sizes == size
        held = drawn[:, of_it].sum(axis=1, keepdims=True)
        kept[:, of_it] *= of_it.sum() / np.where(held > 0, held, 1.0)
    return kept


def percentiles(values: Floats, level: float) -> Interval | None:
    """The middle `level` of the resamples' figures; None where more than half have none (NaN)."""
    finite = values[np.isfinite(values)]
    if 2 * len(finite) <= len(values):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
