"""How a figure of `check` goes with the change of perplexity, and how sure one can be of it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from superpose.errors import BadInput
from superpose.statistics.bootstrap import (
    Floats,
    Interval,
    check_sampling,
    cluster_counts,
    counts,
    percentiles,
)
from superpose.statistics.moments import fit
from superpose.statistics.permutation import permute_domains

__all__ = ["Correlation", "chance_correlation", "correlate"]

_FEWEST_POINTS = 4
_FEWEST_CLUSTERS = 5
"""Three seeds have ten different resamples, and with four domains a third of them hold two: one
pair, no correlation. Their middle 95 % are no interval of 95 %."""

_F = TypeVar("_F")


class _Four(NamedTuple, Generic[_F]):
    """One thing for each figure, in the order of `moments.Fit`."""

    pearson: _F
    spearman: _F
    slope: _F
    intercept: _F


_Figures: TypeAlias = _Four[float | None]
_Intervals: TypeAlias = _Four[Interval | None]
_NO_INTERVALS: _Intervals = _Intervals(None, None, None, None)

_NUMERALS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Correlation:
    """What n points show of a relation y = intercept + slope x.

    n: points used. combinations: different domain combinations among them (n where none given).
    A figure is None where x or y does not vary, its interval where there are too few points,
    seeds or domains to resample. chance: the median |pearson| of as many unrelated points as
    there are combinations. permutation_p: two-sided, from permuting domain labels. note: what
    all this does not show.
    """

    n: int
    combinations: int
    pearson: float | None
    spearman: float | None
    slope: float | None
    intercept: float | None
    pearson_interval: Interval | None
    spearman_interval: Interval | None
    slope_interval: Interval | None
    intercept_interval: Interval | None
    chance: float | None
    permutation_p: float | None
    note: str

    def to_json(self) -> dict[str, Any]:
        """The fields under their names; an interval is a list of two numbers."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }


def correlate(
    x: ArrayLike,
    y: ArrayLike,
    seed: int = 0,
    *,
    domains: Sequence[Collection[str]] | None = None,
    seeds: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
) -> Correlation:
    """Pearson, Spearman and the least-squares line, with percentile bootstrap intervals.

    x, y: (points,) predictor and outcome; points with a NaN (a zero delta has no cosine) are
    left out, and the note says so. domains: the domains of each point's sum; points that share
    one share an adapter and are not independent, so domains are resampled. seeds: each point's
    training seed, resampled by itself beside the domains, so that a point counts as often as its
    seed and each of its domains were drawn (`bootstrap.cluster_counts`), and sums of every size
    keep their share of the points. There is no interval with fewer than five domains, or without
    domains with fewer than five seeds; beside five domains fewer seeds are drawn too, and the note
    says so. With neither, points are resampled as if independent. seed: of the resamples, not of a
    training.

    Raises BadInput for lengths that differ.
    """
    check_sampling(resamples, level)
    points = _Points.checked(x, y, domains, seeds)
    n, combinations = len(points.x), points.combinations
    notes = [_caution(n, combinations)]
    if points.dropped:
        notes.append(f"{_count(points.dropped, 'point')} without a figure left out")
    figures = _figures(points)
    intervals = _NO_INTERVALS
    if figures.pearson is None:
        notes.append("x or y does not vary")
    else:
        intervals, said = _intervals(points, resamples, level, np.random.default_rng(seed))
        notes += said
    permutation = permute_domains(points.x, points.y, points.domains, points.seeds, seed=seed)
    if domains is not None and permutation.reason:
        notes.append(permutation.reason)
    return Correlation(
        n,
        combinations,
        **figures._asdict(),
        **{f"{name}_interval": interval for name, interval in intervals._asdict().items()},
        chance=chance_correlation(combinations),
        permutation_p=permutation.p,
        note="; ".join(notes),
    )


def chance_correlation(n: int) -> float | None:
    """Median |Pearson| of n points without any relation (normal x or y); None below three.

    sin(m), where half the mass of cos(t)^(n-3) on [0, pi/2] lies below m (r = sin t in the null
    density of r, (1 - r^2)^((n-4)/2); Fisher 1915). 0.71 for three points, 0.50 for four.
    """
    if n < 3:
        return None
    angles = np.linspace(0, np.pi / 2, 4001)
    density = np.cos(angles) ** (n - 3)
    mass = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    return float(np.sin(np.interp(mass[-1] / 2, mass, angles)))


@dataclass(frozen=True)
class _Points:
    """The points that have both figures, with their clusters."""

    x: Floats
    y: Floats
    domains: list[frozenset[Hashable]] | None
    seeds: list[Hashable] | None
    dropped: int

    @staticmethod
    def checked(
        x: ArrayLike,
        y: ArrayLike,
        domains: Sequence[Collection[str]] | None,
        seeds: Sequence[Hashable] | None,
    ) -> _Points:
        columns = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        lengths = {len(each) for each in (*columns, domains, seeds) if each is not None}
        if columns[0].ndim != 1 or columns[1].ndim != 1 or len(lengths) > 1:
            raise BadInput(f"each point needs an x, a y and its labels; their numbers: {lengths}")
        kept = [int(i) for i in np.flatnonzero(np.isfinite(columns[0]) & np.isfinite(columns[1]))]
        return _Points(
            columns[0][kept],
            columns[1][kept],
            None if domains is None else [frozenset(domains[i]) for i in kept],
            None if seeds is None else [seeds[i] for i in kept],
            len(columns[0]) - len(kept),
        )

    @property
    def combinations(self) -> int:
        return len(self.x) if self.domains is None else len(set(self.domains))


def _figures(points: _Points) -> _Figures:
    """The figures of the points as they are; all None where x or y does not vary."""
    if len(points.x) < 2:
        return _Figures(None, None, None, None)
    values = fit(points.x, points.y, np.ones((1, len(points.x))))
    if not all(np.isfinite(each[0]) for each in values):
        return _Figures(None, None, None, None)
    return _Figures(*(float(each[0]) for each in values))


def _intervals(
    points: _Points, resamples: int, level: float, rng: np.random.Generator
) -> tuple[_Intervals, list[str]]:
    """The figures' intervals over resamples, and what is to be said of them."""
    if len(points.x) < _FEWEST_POINTS:
        return _NO_INTERVALS, []
    factors, notes = _factors(points)
    if factors:
        sizes = None if points.domains is None else [len(each) for each in points.domains]
        drawn = cluster_counts(factors, resamples, rng, sizes)
    elif points.domains is None and points.seeds is None:
        drawn = np.concatenate(list(counts(len(points.x), resamples, rng)))
    else:
        return _NO_INTERVALS, notes
    intervals = _Intervals(*(percentiles(each, level) for each in fit(points.x, points.y, drawn)))
    if intervals.pearson is None:
        notes.append("no interval: x or y does not vary in most resamples")
    return intervals, notes


def _factors(points: _Points) -> tuple[list[list[frozenset[Hashable]]], list[str]]:
    """Each point's clusters by factor; none, and why, where there are too few to resample."""
    domains: list[frozenset[Hashable]] = points.domains or []
    seeds = [frozenset([seed]) for seed in points.seeds or []]
    labelled = [(w, each) for w, each in (("domain", domains), ("seed", seeds)) if each]
    number = {what: len(frozenset().union(*labels)) for what, labels in labelled}
    few = [_count(n, what) for what, n in number.items() if n < _FEWEST_CLUSTERS]
    if few and number.get("domain", 0) < _FEWEST_CLUSTERS:
        return [], [f"{' and '.join(few)}: too few to resample", "no interval"]
    notes = [f"the intervals know of {few[0]} alone, and say little of others"] if few else []
    return [labels for _, labels in labelled], notes


def _caution(n: int, combinations: int) -> str:
    """How many points there are, and how far that goes."""
    chance = chance_correlation(combinations)
    said = _count(n, "point")
    if combinations < n:
        said += f" of {_count(combinations, 'domain combination')}"
    if chance is None:
        return f"{said} prove{'s' if n == 1 else ''} nothing"
    relation = f"with no relation at all the median |r| of {_count(combinations, 'point')} is"
    proof = " prove nothing" if combinations < _FEWEST_POINTS else ""
    return f"{said}{proof}: {relation} {chance:.2f}"


def _count(number: int, what: str) -> str:
    """`three points`, `one point`, `12 points`."""
    numeral = _NUMERALS[number] if number < len(_NUMERALS) else str(number)
    return f"{numeral} {what}{'' if number == 1 else 's'}"
