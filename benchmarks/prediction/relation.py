"""How a predictor's figures go with the measured interference, and how sure one can be of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction.measured import Measured, Outcome
from superpose.statistics import correlate

__all__ = [
    "Points",
    "ceiling",
    "left_out_error",
    "permutation_p",
    "relation",
    "within_domains",
]

Array = NDArray[np.float64]

_PERMUTATIONS = 2000
_FEWEST_WITHIN = 3
_FEWEST_DOMAINS = 4
"""Three domains have six orders: no p-value below 1/6, whatever the points."""


_R = TypeVar("_R", bound=Outcome, covariant=True)


@dataclass(frozen=True, eq=False)
class Points(Generic[_R]):
    """Measured points of one condition; a point is a sum on one of its domains."""

    rows: Sequence[_R]

    @cached_property
    def interference(self) -> Array:
        """(points,) in nats an answer token."""
        return np.array([row.interference for row in self.rows])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The domains, by the alphabet."""
        return tuple(sorted({name for row in self.rows for name in row.point.domains}))


def relation(points: Points[Outcome], figures: Array, *, in_nats: bool) -> dict[str, Any]:
    """Give everything that is said of one predictor on these points.

    figures: (points,), NaN where there is none; such points are left out, and `n` says how many
    stay. in_nats: the figures are predicted interferences, so they have an error as they are.
    """
    known = np.isfinite(figures)
    points = Points([row for row, there in zip(points.rows, known, strict=True) if there])
    figures, interference = figures[known], points.interference
    found = correlate(
        figures,
        interference,
        domains=[row.point.domains for row in points.rows],
        seeds=[row.point.seed for row in points.rows],
    )
    off = figures - interference
    return {
        "n": found.n,
        "spearman": _short(found.spearman),
        "spearman_interval": _interval(found.spearman_interval),
        "pearson": _short(found.pearson),
        "pearson_interval": _interval(found.pearson_interval),
        "within_domains": _short(within_domains(points, figures)),
        "permutation_p": _short(permutation_p(points, figures)),
        "left_out_error": _short(left_out_error(points, figures)),
        "error": _short(float(np.abs(off).mean())) if in_nats and len(off) else None,
        "bias": _short(float(off.mean())) if in_nats and len(off) else None,
    }


def within_domains(points: Points[Outcome], figures: Array) -> float | None:
    """Mean over domains of Spearman's correlation among the points measured on one domain.

    It answers which partner disturbs a given domain least. None where on some domain figures or
    interference do not vary, or there are fewer than three points.
    """
    found = []
    for name in points.names:
        itself = np.array([name == row.domain for row in points.rows])
        x, y = figures[itself], points.interference[itself]
        if len(x) < _FEWEST_WITHIN or np.ptp(x) == 0 or np.ptp(y) == 0:
            return None
        found.append(float(np.corrcoef(_ranks(x), _ranks(y))[0, 1]))
    return float(np.mean(found)) if found else None


def left_out_error(points: Points[Outcome], figures: Array) -> float | None:
    """Mean absolute error in nats on a domain that the map from figure to nats has not seen.

    The map is the least-squares line over the points without that domain; the error is taken on
    the domain itself, and averaged over domains. None where too few points are without one.
    """
    errors = []
    for name in points.names:
        without = np.array([name not in row.point.domains for row in points.rows])
        itself = np.array([name == row.domain for row in points.rows])
        if without.sum() < 2 or not itself.any():
            return None
        slope, intercept = _line(figures[without], points.interference[without])
        off = intercept + slope * figures[itself] - points.interference[itself]
        errors.append(float(np.abs(off).mean()))
    return float(np.mean(errors)) if errors else None


def permutation_p(points: Points[Outcome], figures: Array) -> float | None:
    """Two-sided p-value of |Spearman| among pairs when domain labels are permuted.

    All seeds are relabelled alike and both directions of a pair go together, so what hangs
    together stays together (Mantel 1967). None where not every pair was measured, or all figures
    are equal.
    """
    names = points.names
    place = {name: k for k, name in enumerate(names)}
    seeds = sorted({row.point.seed for row in points.rows})
    if len(names) < _FEWEST_DOMAINS or {len(row.point.domains) for row in points.rows} != {2}:
        return None
    grid = np.full((2, len(seeds), len(names), len(names)), np.nan)
    values = np.stack([_ranks(figures), _ranks(points.interference)])
    for at, row in enumerate(points.rows):
        (other,) = (name for name in row.point.domains if name != row.domain)
        grid[:, seeds.index(row.point.seed), place[row.domain], place[other]] = values[:, at]
    apart = ~np.eye(len(names), dtype=bool)
    if np.isnan(grid[..., apart]).any() or np.ptp(figures) == 0:
        return None
    x, y = grid - values.mean(axis=1)[:, None, None, None]
    return _share_as_large(x, y, apart)


def ceiling(points: Points[Measured]) -> float | None:
    """Spearman that a perfect predictor would reach, from how two halves of the test rows agree.

    The halves' correlation r, stepped up to all rows, 2 r / (1 + r) (Spearman 1910, Brown 1910),
    is the interference's reliability; its root bounds what goes with the true interference. None
    where the halves do not agree.
    """
    halves = np.array([[_half(row, start) for start in (0, 1)] for row in points.rows])
    if len(halves) < 3 or not np.isfinite(halves).all():
        return None
    r = float(np.corrcoef(_ranks(halves[:, 0]), _ranks(halves[:, 1]))[0, 1])
    return float(np.sqrt(2 * r / (1 + r))) if r > 0 else None


def _half(row: Measured, start: int) -> float:
    """Interference on every second test row."""
    tokens = sum(row.own.row_tokens[start::2])
    if not tokens:
        return float("nan")
    return (sum(row.sum.row_nll[start::2]) - sum(row.own.row_nll[start::2])) / tokens


def _share_as_large(x: Array, y: Array, apart: NDArray[np.bool_]) -> float:
    """How often |sum x y| over `apart` is as large with y's domains permuted; x, y (S, D, D)."""
    rng = np.random.default_rng(0)
    count = x.shape[-1]
    orders = [np.arange(count), *(rng.permutation(count) for _ in range(_PERMUTATIONS - 1))]
    found = np.array([abs(np.sum((x * y[:, o][:, :, o])[:, apart])) for o in orders])
    return float((found >= found[0] * (1 - 1e-12)).mean())


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and intercept of the least-squares line; the mean where x does not vary."""
    from_mean = x - x.mean()
    square = float(from_mean @ from_mean)
    slope = float(from_mean @ y) / square if np.ptp(x) > 0 else 0.0
    return slope, float(y.mean() - slope * x.mean())


def _ranks(x: Array) -> Array:
    """Mid-ranks: (points,)."""
    return np.asarray((x[None] < x[:, None]).sum(1) + 0.5 * (x[None] == x[:, None]).sum(1))


def _short(x: float | None) -> float | None:
    return None if x is None else float(f"{x:.4g}")


def _interval(x: tuple[float, float] | None) -> list[float] | None:
    return None if x is None else [float(f"{end:.4g}") for end in x]
