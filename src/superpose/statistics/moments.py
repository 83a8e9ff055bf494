"""Pearson, Spearman and least squares over weighted points, for many weightings at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpose.statistics.bootstrap import Floats

__all__ = ["Fit", "fit"]


class Fit(NamedTuple):
    """Figures (weightings,) each; NaN where x or y does not vary."""

    pearson: Floats
    spearman: Floats
    slope: Floats
    intercept: Floats


def fit(x: Floats, y: Floats, weights: Floats) -> Fit:
    """Both correlations and the least-squares line y = intercept + slope x.

    x, y: (points,). weights: (weightings, points), how often each point counts.
    """
    mean_x, mean_y, xx, yy, xy = _central(x, y, weights)
    slope = _ratio(xy, xx, xx)
    ranks_x, ranks_y = _ranks(x, weights), _ranks(y, weights)
    _, _, rank_xx, rank_yy, rank_xy = _central(ranks_x, ranks_y, weights)
    return Fit(
        _ratio(xy, np.sqrt(xx * yy), np.minimum(xx, yy)),
        _ratio(rank_xy, np.sqrt(rank_xx * rank_yy), np.minimum(rank_xx, rank_yy)),
        np.where(yy > 0, slope, np.nan),
        np.where(yy > 0, mean_y - slope * mean_x, np.nan),
    )


def _central(x: Floats, y: Floats, weights: Floats) -> tuple[Floats, ...]:
    """Weighted means of x and y and their second central moments xx, yy, xy, (weightings,) each.

    x, y: (points,) or (weightings, points).
    """
    total = weights.sum(axis=1)
    # A resample may hold no point at all; its means are NaN and so is all that follows.
    share = weights / np.where(total > 0, total, np.nan)[:, None]
    mean_x, mean_y = (share * x).sum(axis=1), (share * y).sum(axis=1)
    from_x, from_y = x - mean_x[:, None], y - mean_y[:, None]
    xx = _settled((share * from_x**2).sum(axis=1), x)
    yy = _settled((share * from_y**2).sum(axis=1), y)
    return mean_x, mean_y, xx, yy, (share * from_x * from_y).sum(axis=1)


def _settled(variance: Floats, values: Floats) -> Floats:
    """The variance, zero where it is no more than the rounding of a constant."""
    floor = (8 * np.finfo(np.float64).eps * np.abs(values).max()) ** 2
    return np.where(variance > floor, variance, np.where(np.isnan(variance), np.nan, 0.0))


def _ratio(above: Floats, below: Floats, variance: Floats) -> Floats:
    """Above over below, NaN where `variance` is zero or NaN."""
    usable = variance > 0
    return np.where(usable, above / np.where(usable, below, 1.0), np.nan)


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Mid-ranks (weightings, points), up to a constant, of values that occur `weights` times."""
    before = (values[None, :] < values[:, None]) + 0.5 * (values[None, :] == values[:, None])
    return np.asarray(weights @ before.T, dtype=np.float64)
