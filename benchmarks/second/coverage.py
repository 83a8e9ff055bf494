"""Are the forecast's intervals honest? How often a loss lies within them, group by group.

On test rows that is what an interval of `predict` promises. On the calibration rows themselves, at
sums that were evaluated and not fitted, rows cannot differ: there the polynomial alone is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.second.figures import calibration
from benchmarks.second.plan import Part
from benchmarks.second.rows import Array, Measurements, PartRows
from superpose.landscape.forecast import Forecast
from superpose.landscape.polynomial import AWAY, CROSS, FULL, Polynomial, PolynomialPrediction
from superpose.landscape.sample import Sample
from superpose.statistics import clopper_pearson, student_quantile

__all__ = ["ENOUGH", "HONEST", "NINE", "SEEN", "Told", "coverage", "told_beside"]

HONEST, ENOUGH = 0.9, 40
"""The registered bound, and the number of intervals from which it is asked of a group."""

BEFORE_CROSS, BEFORE_AWAY = 0.4, 0.15
"""`CROSS` and, for each other adapter's weight, `AWAY`, as they were until these intervals had been
counted on two seeds: then both were widened."""

SEEN_BEFORE = {(0, "television"), (0, "world")}
"""Seed and domain of what had been looked at when they were set as before."""

SEEN = {0, 1}
"""Seeds that had been looked at when they were widened, and when what saturates was seen."""

NINE, CROSS_AT_NINE = 9, 0.5
"""Of so many adapters nothing had been looked at before the first two widths were set; what they
showed set the third, and `CROSS` was this before."""

KINDS = {3: "triples", 4: "quadruples"}
RANDOM = "random weights"


class Told(NamedTuple):
    """A forecast of L(weighting) - L(own), in nats, its intervals, and what the rows show.

    adapters: that the forecast was calibrated with. rows: `test` or `calibration`. before,
    half_before: the forecast and half of its interval as they were registered, when nothing
    saturated and neither share was widened. half_then: half of the present forecast's interval as
    it was when nine adapters were counted. misfit: half of the interval that the polynomial's own
    doubt makes. low, high: as `predict` prints them. rows_error: half of the interval of what was
    measured, for having these test rows and not others; 0 on calibration rows.
    """

    adapters: int
    kind: str
    rows: str
    seed: int
    domain: str
    before: float
    half_before: float
    half_then: float
    foretold: float
    misfit: float
    low: float
    high: float
    measured: float
    rows_error: float

    @property
    def half(self) -> float:
        """Half of the interval that is asked: as printed, on calibration rows of the misfit."""
        return self.misfit if self.rows == "calibration" else (self.high - self.low) / 2

    @property
    def held(self) -> bool:
        """Whether the interval holds what was measured."""
        return abs(self.foretold - self.measured) <= self.half

    @property
    def held_before(self) -> bool:
        """Whether the interval held it as it was registered."""
        return abs(self.before - self.measured) <= self.half_before

    @property
    def held_then(self) -> bool:
        """Whether the interval held it when nine adapters were counted."""
        return abs(self.foretold - self.measured) <= self.half_then

    @property
    def met_then(self) -> bool:
        """The same, had the test rows' own sampling error been counted beside the forecast's."""
        return abs(self.foretold - self.measured) <= float(
            np.hypot(self.half_then, self.rows_error)
        )

    @property
    def fresh(self) -> bool:
        """Whether it had not been looked at when it was last said how wide intervals are."""
        return self.adapters == NINE or self.seed not in SEEN

    @property
    def held_fresh(self) -> bool:
        """Whether an interval held that was not set on what it is asked of."""
        return self.held_then if self.adapters == NINE else self.held


def coverage(found: Measurements, nine: Measurements | None = None) -> dict[str, Any]:
    """Give each group's share of intervals that hold, and every interval behind it.

    nine: what was measured with nine adapters.
    """
    told = [*told_beside(found), *(told_beside(nine) if nine else ())]
    groups = sorted({each[:3] for each in told})
    return {
        "groups": [_group(group, told) for group in groups],
        "told": [[_short(x) if isinstance(x, float) else x for x in each] for each in told],
    }


def told_beside(found: Measurements) -> Iterator[Told]:
    """Give every forecast at weightings that are no design points, with what was measured.

    With all adapters: triples, quadruples, random weightings. With each four that were evaluated,
    of which one is the domain's own, the others weighing nothing: triples among them, and random
    weightings of them.
    """
    names = found.adapters
    for seed in found.seeds:
        for place, domain in ((names.index(name), name) for name in found.domains):
            whole = calibration(found, seed, domain).sample
            values = found[Part(seed, domain, "evaluated")]
            measured = {"test": found[Part(seed, domain, "test")], "calibration": values}
            for chosen in (tuple(range(len(names))), *_fours(values.points, place)):
                among = len(chosen) < len(names)
                sample = _design_of(found, seed, domain, chosen) if among else whole
                for rows, held in measured.items():
                    yield from _told(sample, held, place, chosen, (rows, seed, domain))


def _told(
    sample: Sample,
    measured: PartRows,
    place: int,
    chosen: tuple[int, ...],
    where: tuple[str, int, str],
) -> Iterator[Told]:
    """Foretell with some adapters: `sample` has their weights alone. where: rows, seed, domain."""
    outside = np.setdiff1d(np.arange(measured.points.shape[1]), chosen)
    inside = ~measured.points[:, outside].any(axis=1)
    asked = [
        (at, kind)
        for at in np.flatnonzero(inside).tolist()
        if (kind := _kind(measured.points[at], place))
        and sample.at(measured.points[at, chosen]) is None
    ]
    if not asked:
        return
    names = tuple(str(k) for k in chosen)
    forecast = Forecast(names, names, (sample,) * len(names))  # of one domain; the others unread
    points = measured.points[np.ix_([at for at, _ in asked], chosen)]
    ours = [row for row in forecast.predict(points) if row.domain == str(place)]
    own = chosen.index(place)
    alone = measured.at(np.eye(measured.points.shape[1])[place])
    wide = student_quantile(0.975, len(sample.tokens) - 1)
    loss, test = forecast.losses[own], where[0] == "test"
    found = loss.predict(points, against=forecast.own(own))
    before = _before(sample, points, forecast.own(own), test)
    narrower = (CROSS_AT_NINE**2 - CROSS**2) * loss.together(points) ** 2
    then = _errors(found, narrower, test)
    seen = measured.sample()
    for n, ((at, kind), row) in enumerate(zip(asked, ours, strict=True)):
        more, error = seen.more(at, alone)
        yield Told(
            len(chosen),
            kind,
            *where,
            before[n][0],
            wide * before[n][1],
            wide * float(then[n]),
            row.interference,
            wide * float(found.misfit[n]),
            row.interference_low,
            row.interference_high,
            more,
            error * student_quantile(0.975, len(seen.tokens) - 1) if test else 0.0,
        )


def _errors(found: PolynomialPrediction, wider: Array, test: bool) -> Array:
    """Give standard errors whose misfit has another square. test: that of sampling is in them."""
    misfit = np.sqrt(found.misfit**2 + wider)
    return np.hypot(found.sampling, misfit) if test else misfit


def _before(sample: Sample, points: Array, own: Array, test: bool) -> list[tuple[float, float]]:
    """Give what was foretold against the own adapter as registered, with its standard error."""
    loss = Polynomial.fit(sample, saturating=False)
    found = loss.predict(points, against=own)
    together = loss.together(points)
    others = np.abs(points[:, list(loss.others)]).sum(axis=1)
    absent = loss.gain * (1 - points @ own) ** 2
    now = (AWAY * absent * np.minimum(1.0, others / FULL)) ** 2 + (CROSS * together) ** 2
    before = (BEFORE_AWAY * absent * others) ** 2 + (BEFORE_CROSS * together) ** 2
    errors = _errors(found, before - now, test)
    return list(zip(found.nll.tolist(), errors.tolist(), strict=True))


def _kind(point: Array, place: int) -> str | None:
    if not np.isin(point, (0.0, 1.0)).all():
        return RANDOM
    return KINDS.get(int(point.sum())) if point[place] == 1 else None


def _fours(points: Array, place: int) -> list[tuple[int, ...]]:
    """Give the adapters of every evaluated sum of four that the domain's own is one of."""
    held = [p for p in points if np.isin(p, (0, 1)).all() and p.sum() == 4 and p[place]]
    return [tuple(np.flatnonzero(p).tolist()) for p in held] if points.shape[1] > 4 else []


def _design_of(found: Measurements, seed: int, domain: str, chosen: tuple[int, ...]) -> Sample:
    """Give what calibrating with some adapters alone would have measured."""
    slopes, values = (found[Part(seed, domain, part)] for part in ("slopes", "evaluated"))
    whole = np.zeros(values.points.shape[1])
    whole[list(chosen)] = 1.0
    design = [values.at(np.zeros_like(whole)), values.at(whole)]
    return slopes.sample().joined(values.sample(np.array(design))).among(chosen)


def _group(group: tuple[int, str, str], told: list[Told]) -> dict[str, Any]:
    those = [each for each in told if each[:3] == group]
    held = sum(each.held for each in those)
    fresh = [each for each in those if each.fresh]
    fresh_before = [
        each
        for each in those
        if each.adapters == NINE or (each.seed, each.domain) not in SEEN_BEFORE
    ]
    return {
        "adapters": group[0],
        "kind": group[1],
        "rows": group[2],
        "n": len(those),
        "held": held,
        "fresh": [sum(each.held_fresh for each in fresh), len(fresh)],
        "fresh_met": [sum(each.met_then for each in fresh), len(fresh)],
        "held_before": sum(each.held_before for each in those),
        "fresh_before": [sum(each.held_before for each in fresh_before), len(fresh_before)],
        "interval": [_short(end) for end in clopper_pearson(held, len(those))],
        "half_width": _short(float(np.mean([each.half for each in those]))),
        "error": _short(float(np.mean([abs(each.foretold - each.measured) for each in those]))),
        "mean": _short(float(np.mean([each.measured for each in those]))),
    }


def _short(x: float) -> float:
    return float(f"{x:.5g}")
