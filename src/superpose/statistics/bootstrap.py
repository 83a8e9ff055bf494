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
    members: Sequence[frozenset[Hashable]], resamples: int, rng: np.random.Generator
) -> Floats:
    """Multiplicities (resamples, points) when clusters are drawn instead of points.

    members: for each point the clusters it belongs to: one for a training seed, several for the
    domains of a sum. A point occurs once for each way of picking one drawn copy of each of its
    clusters, and not at all where one of them was not drawn (Owen, "The pigeonhole bootstrap",
    2007, doi:10.1214/07-AOAS122).
    """
    clusters = sorted({cluster for member in members for cluster in member}, key=repr)
    column = {cluster: index for index, cluster in enumerate(clusters)}
    drawn = np.concatenate(list(counts(len(clusters), resamples, rng)))
    return np.stack(
        [np.prod(drawn[:, [column[each] for each in member]], axis=1) for member in members],
        axis=1,
    )


def percentiles(values: Floats, level: float) -> Interval | None:
    """The middle `level` of the resamples' figures; None where more than half have none (NaN)."""
    finite = values[np.isfinite(values)]
    if 2 * len(finite) <= len(values):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
