"""The best task weights for one adapter that serves several domains, checked on calibration rows.

The polynomials of lambda space give a first answer without measuring. Then a few safeguarded Newton
steps: slopes measured at the best weights so far, curvatures from the polynomials, half the step
where it did not help. What comes out is the best of everything measured, the naive sum, the average
and every adapter alone among it, so it is worse than none of them on these rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import sum_or_formula
from superpose.data.prompt import Example
from superpose.landscape.best_weights import (
    BOUNDS,
    Objective,
    best_weights,
    objective_of,
    starts,
)
from superpose.landscape.forecast import Forecast
from superpose.landscape.plan import SLOPE_WORK
from superpose.landscape.sample import Sample
from superpose.measure.meter import Meter
from superpose.model.superposed import SuperposedModel
from superpose.shown import Column, Framed, Part, Shown, Table, perplexity

__all__ = ["Point", "Tuned", "Wanted", "most_rounds", "tune", "tuning", "tuning_work"]

Array = NDArray[np.float64]
T = TypeVar("T")

STEPS = 3
"""Newton steps at most; on the embedded base the second changes the fourth decimal."""

ENOUGH = 1e-4
"""A step that promises less than so many nats is not taken."""

HALVINGS = 1
"""How often a step that did not help is halved."""


@dataclass(frozen=True)
class Point:
    """Task weights with what they cost on the calibration rows.

    method: naive, average, single, closed form or Newton. weights: (K,). nll: by domain, nats an
    answer token. objective: mean or largest regret against each domain's own adapter.
    """

    method: str
    weights: tuple[float, ...]
    nll: tuple[float, ...]
    objective: float


@dataclass(frozen=True)
class Tuned(Framed, Shown):
    """The best weights, and everything that was measured on the way, in order."""

    TABLE: ClassVar[str] = "measured"

    names: tuple[str, ...]
    domains: tuple[str, ...]
    best: Point
    points: tuple[Point, ...]

    @property
    def weights(self) -> dict[str, float]:
        """The best task weight of each adapter."""
        return dict(zip(self.names, self.best.weights, strict=True))

    def of(self, method: str) -> Point:
        """Give the best measured point of a method."""
        return min((p for p in self.points if p.method == method), key=lambda p: p.objective)

    def to_json(self) -> dict[str, Any]:
        """Give weights and measurements, one row a point and domain."""
        return {
            "weights": self.weights,
            "objective": self.best.objective,
            "measured": [
                {
                    "method": point.method,
                    "weights": dict(zip(self.names, point.weights, strict=True)),
                    "domain": domain,
                    "nll": nll,
                }
                for point in self.points
                for domain, nll in zip(self.domains, point.nll, strict=True)
            ],
        }

    def shown(self) -> tuple[Part, ...]:
        """Give everything that was measured on the way, the best first."""
        columns = (
            Column("task weights", partial(_rounded, self.names)),
            Column("method", "method"),
            *(Column(domain, partial(_of_domain, k), perplexity)
              for k, domain in enumerate(self.domains)),
            Column("objective", "objective", "+.4f"),
        )  # fmt: skip
        points = sorted(self.points, key=lambda point: point.objective)
        title = "Perplexity of the answers on the calibration rows, the best first"
        return (Table.of(title, columns, points),)


def _rounded(names: Sequence[str], point: Point) -> tuple[str, ...] | str:
    return sum_or_formula(
        {name: round(weight, 3) for name, weight in zip(names, point.weights, strict=True)}
    )


def _of_domain(place: int, point: Point) -> float:
    return point.nll[place]


@dataclass(frozen=True, eq=False)
class Wanted:
    """A domain, by its number, to be measured at task weights (K,), with slopes or without."""

    domain: int
    weights: Array
    slopes: bool

    @property
    def passes(self) -> float:
        """Forward passes that each row takes."""
        return SLOPE_WORK if self.slopes else 1.0

    def measured(self, model: SuperposedModel, rows: Sequence[Example], meter: Meter) -> Sample:
        """Give what the model makes of the domain's rows there."""
        return meter.rows(model, rows, [self.weights], gradients=self.slopes)


Asking: TypeAlias = Generator[list[Wanted], list[Sample], T]
"""A search that gives what it wants measured, is sent the samples, and ends with what it found."""


class _Search:
    """Asks for weights to be measured on every domain, and remembers what was measured."""

    def __init__(
        self, forecast: Forecast, objective: Objective, bounds: tuple[float, float]
    ) -> None:
        self.forecast, self.objective = forecast, objective
        self.samples = list(forecast.samples)
        self.bounds = bounds
        self.points: list[Point] = []
        self.own = [float(s.loss[s.at(forecast.own(i))]) for i, s in enumerate(self.samples)]

    def measure(self, method: str, weights: Array) -> Asking[Point]:
        """Have every domain measured at these weights, where it is not yet, and note it."""
        yield from self._know(weights, slopes=False)
        nll = [float(s.loss[_position(s, weights)]) for s in self.samples]
        value = objective_of(np.array(nll) - np.array(self.own), self.objective)
        point = Point(method, tuple(weights.tolist()), tuple(nll), value)
        self.points.append(point)
        return point

    def best(self) -> Point:
        """Give the best point inside the bounds that was measured so far."""
        least, most = self.bounds
        inside = (p for p in self.points if least <= min(p.weights) and max(p.weights) <= most)
        return min(inside, key=lambda point: point.objective)

    def shift(self, weights: Array) -> Asking[Array]:
        """Have slopes measured there; give what they say beside the polynomials': (D, K)."""
        yield from self._know(weights, slopes=True)
        rows = []
        for loss, sample in zip(self.forecast.losses, self.samples, strict=True):
            measured = sample.slope[_position(sample, weights)]
            rows.append(measured - loss.gradient(weights))
        return np.array(rows)

    def _know(self, weights: Array, *, slopes: bool) -> Asking[None]:
        asked = []
        for i, sample in enumerate(self.samples):
            at = _position(sample, weights)
            if at is None or (slopes and np.isnan(sample.slope[at]).any()):
                asked.append(Wanted(i, weights, slopes))
        for one, found in zip(asked, (yield asked), strict=True):
            self.samples[one.domain] = self.samples[one.domain].joined(found)


def tune(
    model: SuperposedModel,
    domains: Mapping[str, Sequence[Example]],
    forecast: Forecast,
    *,
    objective: Objective = "mean",
    bounds: tuple[float, float] = BOUNDS,
    steps: int = STEPS,
    progress: Callable[[float], None] | None = None,
    meter: Meter = Meter(),  # noqa: B008 - it holds nothing
) -> Tuned:
    """Find the task weights with the smallest mean, or worst, regret on the calibration rows.

    model: with K adapters. domains: calibration rows, as `forecast` was made from. bounds: of every
    weight; the naive sum, the average and singles are measured whatever the bounds, and chosen
    inside them alone. progress: called with forward-equivalent rows done. meter: what measures.
    """
    rows, tell = list(domains.values()), progress or (lambda _: None)
    asking = tuning(forecast, objective=objective, bounds=bounds, steps=steps)
    found: list[Sample] | None = None
    while True:
        try:
            asked = next(asking) if found is None else asking.send(found)
        except StopIteration as end:
            tuned: Tuned = end.value
            return tuned
        found = []
        for one in asked:
            found.append(one.measured(model, rows[one.domain], meter))
            tell(one.passes * len(rows[one.domain]))


def tuning(
    forecast: Forecast,
    *,
    objective: Objective = "mean",
    bounds: tuple[float, float] = BOUNDS,
    steps: int = STEPS,
) -> Asking[Tuned]:
    """Search as `tune`, round by round: gives what is to be measured, and is sent the samples.

    Of a round every domain can be measured apart from the others. The first rounds, one for each of
    `starts`, ask for what is known beforehand; `most_rounds` are all there can be.
    """
    search = _Search(forecast, objective, bounds)
    for name, weights in zip(_names(len(forecast.names)), starts(len(forecast.names)), strict=True):
        yield from search.measure(name, weights)
    first = best_weights(forecast.losses, objective=objective, bounds=bounds)
    yield from search.measure("closed form", first)
    for _ in range(steps):
        if not (yield from _step(search)):
            break
    return Tuned(forecast.names, forecast.domains, search.best(), tuple(search.points))


def most_rounds(adapters: int, steps: int = STEPS) -> tuple[int, int]:
    """Give how many rounds of `tuning` are known beforehand, and how many there are at most."""
    known = len(starts(adapters))
    return known, known + 1 + steps * (1 + HALVINGS + 1)


def _step(search: _Search) -> Asking[bool]:
    """Take one Newton step from the best point so far; say whether it helped."""
    best = search.best()
    here = np.array(best.weights)
    shift = yield from search.shift(here)
    losses = search.forecast.losses
    target = best_weights(losses, objective=search.objective, bounds=search.bounds, shift=shift)
    promised = _model(search, target, here, shift, best)
    if best.objective - promised < ENOUGH:
        return False
    for halving in range(HALVINGS + 1):
        found = yield from search.measure("Newton", here + (target - here) * 0.5**halving)
        if found.objective < best.objective:
            return True
    return False


def _model(search: _Search, target: Array, here: Array, shift: Array, best: Point) -> float:
    """Give the objective that measured values and slopes with fitted curvatures promise."""
    losses = search.forecast.losses
    change = [
        loss.value(target) - loss.value(here) + shift[i] @ (target - here)
        for i, loss in enumerate(losses)
    ]
    regrets = np.array(best.nll) + np.array(change) - np.array(search.own)
    return objective_of(regrets, search.objective)


def tuning_work(domains: Mapping[str, Sequence[Example]], steps: int = STEPS) -> float:
    """Give the most that `tune` does, in forward passes of one row."""
    rows = sum(map(len, domains.values()))
    return rows * (len(domains) + 3 + steps * (2.0 + HALVINGS + 1))


def _names(adapters: int) -> list[str]:
    return ["naive", "average", *["single"] * adapters]


def _position(sample: Sample, weights: Array) -> int | None:
    """Give where weights were measured, the last time; None where they were not."""
    found = np.flatnonzero(np.abs(sample.points - weights).max(axis=1) < 1e-12)
    return int(found[-1]) if len(found) else None
