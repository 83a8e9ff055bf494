"""Are the forecast's intervals honest? How often a test loss lies within them, group by group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.second.figures import calibration
from benchmarks.second.plan import Part
from benchmarks.second.rows import Array, Measurements, PartRows, finished
from superpose.landscape.forecast import Forecast
from superpose.landscape.sample import Sample
from superpose.statistics import clopper_pearson

__all__ = ["ENOUGH", "HONEST", "Told", "coverage", "told_beside"]

HONEST, ENOUGH = 0.9, 40
"""The registered bound, and the number of intervals from which it is asked of a group."""

KINDS = {3: "triples", 4: "quadruples"}
RANDOM = "random weights"


class Told(NamedTuple):
    """A forecast of L(weighting) - L(own), its interval, and what the test rows show.

    adapters: that the forecast was calibrated with.
    """

    adapters: int
    kind: str
    seed: int
    domain: str
    foretold: float
    low: float
    high: float
    measured: float

    @property
    def held(self) -> bool:
        """Whether the interval holds what was measured."""
        return self.low <= self.measured <= self.high


def coverage(found: Measurements) -> dict[str, Any]:
    """Give each group's share of intervals that hold, and every interval behind it."""
    told = list(told_beside(found))
    groups = sorted({(each.adapters, each.kind) for each in told})
    return {
        "groups": [_group(adapters, kind, told) for adapters, kind in groups],
        "told": [[_short(x) if isinstance(x, float) else x for x in each] for each in told],
    }


def told_beside(found: Measurements) -> Iterator[Told]:
    """Give every forecast at weightings that are no design points, with what was measured.

    With all adapters: triples, quadruples, random weightings. With four, of which one is the
    domain's own, the others weighing nothing: triples among them, and random weightings of them.
    """
    seeds, names = finished(found)
    for seed in seeds:
        for place, domain in enumerate(names):
            sample = calibration(found, seed, domain).sample
            test = found[Part(seed, domain, "test")]
            every = tuple(range(len(names)))
            yield from _told(sample, test, place, every, seed, domain)
            if len(chosen := _four(test.points)) == 4:
                inner = _design_of(found, seed, domain, chosen)
                yield from _told(inner, test, place, chosen, seed, domain)


def _told(
    sample: Sample, test: PartRows, place: int, chosen: tuple[int, ...], seed: int, domain: str
) -> Iterator[Told]:
    """Foretell with some adapters: `sample` has their weights alone."""
    outside = np.setdiff1d(np.arange(test.points.shape[1]), chosen)
    inside = ~test.points[:, outside].any(axis=1)
    asked = [
        (at, kind)
        for at in np.flatnonzero(inside).tolist()
        if (kind := _kind(test.points[at], place)) and sample.at(test.points[at, chosen]) is None
    ]
    if not asked:
        return
    names = tuple(str(k) for k in chosen)
    forecast = Forecast(names, names, (sample,) * len(names))  # of one domain; the others unread
    rows = forecast.predict(test.points[np.ix_([at for at, _ in asked], chosen)])
    own = str(place)
    alone = test.loss[test.at(np.eye(test.points.shape[1])[place])]
    ours = [row for row in rows if row.domain == own]
    for (at, kind), row in zip(asked, ours, strict=True):
        measured = float(test.loss[at] - alone)
        ends = row.interference, row.interference_low, row.interference_high
        yield Told(len(chosen), kind, seed, domain, *ends, measured)


def _kind(point: Array, place: int) -> str | None:
    if not np.isin(point, (0.0, 1.0)).all():
        return RANDOM
    return KINDS.get(int(point.sum())) if point[place] == 1 else None


def _four(points: Array) -> tuple[int, ...]:
    """The adapters that the random weightings of fewer than all are of."""
    drawn = points[~np.isin(points, (0.0, 1.0)).all(axis=1)]
    some = drawn[(drawn == 0).any(axis=1)]
    return tuple(np.flatnonzero(some[0]).tolist()) if len(some) else ()


def _design_of(found: Measurements, seed: int, domain: str, chosen: tuple[int, ...]) -> Sample:
    """Give what calibrating with some adapters alone would have measured."""
    slopes, values = (found[Part(seed, domain, part)] for part in ("slopes", "evaluated"))
    whole = np.zeros(values.points.shape[1])
    whole[list(chosen)] = 1.0
    design = [values.at(np.zeros_like(whole)), values.at(whole)]
    return slopes.sample().joined(values.sample(np.array(design))).among(chosen)


def _group(adapters: int, kind: str, told: list[Told]) -> dict[str, Any]:
    those = [each for each in told if (each.adapters, each.kind) == (adapters, kind)]
    held = sum(each.held for each in those)
    return {
        "adapters": adapters,
        "kind": kind,
        "n": len(those),
        "held": held,
        "interval": [_short(end) for end in clopper_pearson(held, len(those))],
        "half_width": _short(float(np.mean([(each.high - each.low) / 2 for each in those]))),
        "error": _short(float(np.mean([abs(each.foretold - each.measured) for each in those]))),
        "mean": _short(float(np.mean([each.measured for each in those]))),
    }


def _short(x: float) -> float:
    return float(f"{x:.5g}")
