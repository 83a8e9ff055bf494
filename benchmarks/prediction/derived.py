"""Figures that follow from recorded ones: they enter wherever points are judged.

The combination is what all figures of the weights together can do: a ridge regression on measured
sums of other domains, asked on a domain that it has not seen. So it needs no data of that domain,
and of the others more than any predictor has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMBINED", "derived"]

Array = NDArray[np.float64]

COMBINED = "data-free, combined"
LAW, SUMMED, COSINE = "1/k law", "rms cosine, summed", "rms cosine"

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Of the ridge, on figures of mean 0 and deviation 1; chosen anew without each left-out domain."""

_FEWEST = 4


def derived(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give the record with figures that follow from its points, at the end of each point's list.

    The law of 1/k and the summed RMS cosine where it lacks them; the combination anew in any case.
    """
    columns = {each["name"]: list(column) for each, column in zip(
        record["predictors"], zip(*(point[5] for point in record["points"]), strict=True),
        strict=True,
    )}  # fmt: skip
    entries = {each["name"]: each for each in record["predictors"]}
    for name, made in ((LAW, _law), (SUMMED, _summed)):
        if name not in columns:
            columns[name] = made(record["points"], columns)
            entries[name] = {"name": name, "in_nats": False, "needs": [], "cost": _FREE}
    free = [name for name, each in entries.items() if not each["needs"]]
    columns[COMBINED] = _combined(record["points"], [columns[name] for name in free])
    entries[COMBINED] = {"name": COMBINED, "in_nats": True, "needs": ["outcomes"], "cost": _FREE}
    points = [
        [*point[:5], list(figures)]
        for point, figures in zip(
            record["points"], zip(*columns.values(), strict=True), strict=True
        )
    ]
    return {**record, "predictors": list(entries.values()), "points": points}


_FREE = {"tokens": 0, "seconds": 0.0}
_Column = list[float | None]


def _law(points: Sequence[Any], columns: Mapping[str, _Column]) -> _Column:
    return [_short(1 - 1 / len(_domains(point))) for point in points]


def _summed(points: Sequence[Any], columns: Mapping[str, _Column]) -> _Column:
    """Of the pairs' figures, where each pair was measured too."""
    known = {
        (point[0], point[1], point[3], frozenset(_domains(point))): figure
        for point, figure in zip(points, columns[COSINE], strict=True)
    }

    def figure(point: Any) -> float | None:
        condition, seed, names, domain = point[:4]
        others = [name for name in names.split("+") if name != domain]
        found = [known.get((condition, seed, domain, frozenset([domain, one]))) for one in others]
        return None if None in found else _short(sum(x for x in found if x is not None))

    return [figure(point) for point in points]


def _combined(points: Sequence[Any], free: Sequence[_Column]) -> _Column:
    """Fit within each condition by itself."""
    found: _Column = [None] * len(points)
    table = np.array(free, dtype=np.float64).T  # None is NaN
    for condition in dict.fromkeys(point[0] for point in points):
        places = [k for k, point in enumerate(points) if point[0] == condition]
        known = np.isfinite(table[places]).all(axis=0) & (np.ptp(table[places], axis=0) > 0)
        field = _Field(
            table[np.ix_(np.array(places), np.flatnonzero(known))],
            np.array([points[k][4] for k in places]),
            [frozenset(_domains(points[k])) for k in places],
            [points[k][3] for k in places],
        )
        for place, figure in field.left_out():
            found[places[place]] = _short(figure)
    return found


class _Field:
    """Points of one condition: figures (P, F), outcomes (P,), domains of each sum, and its own."""

    def __init__(
        self, figures: Array, outcomes: Array, sums: list[frozenset[str]], own: list[str]
    ) -> None:
        self.figures, self.outcomes, self.sums, self.own = figures, outcomes, sums, own

    def left_out(self) -> Iterator[tuple[int, float]]:
        """Give each point's place and its figure by a ridge that has not seen its domain."""
        for domain in sorted(set(self.own)):
            seen = np.array([domain not in names for names in self.sums])
            asked = np.array([domain == name for name in self.own])
            if seen.sum() >= _FEWEST and self.figures.shape[1]:
                penalty = min(PENALTIES, key=lambda p: self._error(seen, p))
                yield from zip(
                    np.flatnonzero(asked).tolist(),
                    self._ridge(seen, asked, penalty).tolist(),
                    strict=True,
                )

    def _error(self, among: NDArray[np.bool_], penalty: float) -> float:
        """Mean squared error over the domains among these points, each left out in turn."""
        errors = [0.0]
        for domain in sorted({name for name, there in zip(self.own, among, strict=True) if there}):
            seen = among & np.array([domain not in names for names in self.sums])
            asked = among & np.array([domain == name for name in self.own])
            if seen.sum() >= _FEWEST:
                off = self._ridge(seen, asked, penalty) - self.outcomes[asked]
                errors.append(float(np.mean(off**2)))
        return float(np.sum(errors))

    def _ridge(self, seen: NDArray[np.bool_], asked: NDArray[np.bool_], penalty: float) -> Array:
        x, y = self.figures[seen], self.outcomes[seen]
        middle, spread = x.mean(axis=0), x.std(axis=0)
        scaled = (x - middle) / np.where(spread > 0, spread, 1.0)
        square = scaled.T @ scaled + penalty * np.eye(x.shape[1])
        slope = np.linalg.solve(square, scaled.T @ (y - y.mean()))
        new = (self.figures[asked] - middle) / np.where(spread > 0, spread, 1.0)
        return np.asarray(y.mean() + new @ slope)


def _domains(point: Any) -> list[str]:
    return list(point[2].split("+"))


def _short(x: float) -> float:
    return float(f"{x:.5g}")
