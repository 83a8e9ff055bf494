"""Calibrate: measure, on each domain's calibration rows, all that predictors may look at.

One file a condition, seed and domain, so calibrating goes on where it was stopped. Each part is
timed apart: a predictor is to pay for what it reads and for nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from benchmarks.prediction.adapters import trained
from benchmarks.prediction.calibration_file import Cost, costs_of, of_inner, of_sample
from benchmarks.prediction.field import Field
from benchmarks.prediction.partners import random_partner
from benchmarks.prediction.workers import Jobs, work_off
from superpose.adapter import Adapter
from superpose.data.prompt import Example
from superpose.landscape.sample import Sample
from superpose.landscape.subsets import design_points
from superpose.measure.calibrate import measure
from superpose.measure.data_inner import measure_inner
from superpose.model import SuperposedModel
from superpose.studies.cells import cell_seed

__all__ = ["Calibrating", "beside", "calibrate_missing", "calibratings", "calibrator"]

_SLOPE_PASSES = 2
"""Forward passes that one forward and backward pass through activations alone is worth."""

_SURPLUS = 2
"""Scattered values for each coefficient of the quadratic: as many would fit their own noise."""

_CONTROL_SHARE = 2
"""Controls are calibrated on one of so many rows: they take as long as all seeds together else."""

T = TypeVar("T")


@dataclass(frozen=True)
class Calibrating:
    """One domain's calibration with all adapters of a condition and seed beside its own.

    scattered: only the values at scattered weights, which MAP alone reads.
    """

    condition: str
    seed: int
    domain: str
    scattered: bool = False

    @property
    def name(self) -> str:
        """Such as `calibration main, seed 0: finance`."""
        return f"{self._kind} {self.condition}, seed {self.seed}: {self.domain}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        return f"{self._kind}/{self.condition}/seed-{self.seed}/{self.domain}.json"

    @property
    def _kind(self) -> str:
        return "scattered" if self.scattered else "calibration"


def calibratings(field: Field) -> list[Calibrating]:
    """All calibrations, in the order in which they are made: the main ones first, MAP's last.

    Controls and MAP have the first seed alone.
    """
    first = field.tournament.seeds[0]
    main = [("main", seed, False) for seed in field.tournament.seeds]
    controls = [(condition, first, False) for condition in ("same-a", "random", "calibration")]
    return [
        Calibrating(condition, seed, domain, alone)
        for condition, seed, alone in (*main, *controls, ("main", first, True))
        for domain in field.names
    ]


def beside(field: Field, condition: str, seed: int, domain: str) -> list[Adapter]:
    """Give the domain's own adapter and, in their places, all others that may stand beside it."""
    kind = "main" if condition == "random" else condition
    adapters = [trained(field, kind, seed, name) for name in field.names]
    if condition != "random":
        return adapters
    return [a if a.name == domain else random_partner(a, seed) for a in adapters]


def calibrate_missing(field: Field, jobs: Jobs = 1) -> None:
    """Calibrate what does not lie in the folder yet; the caller holds the folder's lock.

    Raises BadInput where an adapter that is needed was not trained yet.
    """
    todo = [each for each in calibratings(field) if not (field.folder.path / each.file).exists()]
    work_off(field, todo, [_work(field, each) for each in todo], calibrator, jobs)


@contextmanager
def calibrator(field: Field) -> Iterator[Callable[[Calibrating], None]]:
    """Give the function that makes one calibration."""

    def calibrate(each: Calibrating) -> None:
        adapters = beside(field, each.condition, each.seed, each.domain)
        place = field.names.index(each.domain)
        rows = field.examples(each.domain, "calibration")
        if each.condition != "main":
            rows = rows[: -(-len(rows) // _CONTROL_SHARE)]
        with SuperposedModel(field.base.model, adapters) as model:
            run = _Run(model, place)
            found = run.scattered(rows, each) if each.scattered else run.designed(rows)
        field.folder.write(each.file, found | costs_of(run.costs))

    yield calibrate


class _Run:
    """Measures one domain, part by part, and notes what each part cost."""

    def __init__(self, model: SuperposedModel, place: int) -> None:
        self.model, self.place = model, place
        self.costs: dict[str, Cost] = {}

    def designed(self, rows: Sequence[Example]) -> dict[str, Any]:
        """Give everything but the scattered values, as JSON."""
        (own, *others), plain = design_points(self.place, len(self.model.adapters))
        inner = self._part(
            "inner", rows, _SLOPE_PASSES, lambda rows: measure_inner(self.model, rows, own)
        )
        sample = self._sample("slope", rows, [own], gradients=True)
        sample = sample.joined(self._sample("slopes", rows, others, gradients=True))
        sample = sample.joined(self._sample("values", rows, plain, gradients=False))
        self.costs["pairs"] = self._without_slopes(1 + len(others), len(plain))
        return {"sample": of_sample(sample), "inner": of_inner(inner)}

    def scattered(self, rows: Sequence[Example], each: Calibrating) -> dict[str, Any]:
        """Give the scattered values, as JSON.

        Of so many rows that they cost what lambda space costs on all of them.
        """
        count = len(self.model.adapters)
        number = _SURPLUS * (count + 1) * (count + 2) // 2
        fewer = max(1, round(len(rows) * (2 * count + 2) / number))
        rng = np.random.default_rng(cell_seed(each.seed, each.file))
        points = list(rng.uniform(size=(number, count)))
        return {
            "sample": of_sample(self._sample("scattered", rows[:fewer], points, gradients=False))
        }

    def _without_slopes(self, points: int, timed: int) -> Cost:
        """What values alone would have cost at so many points, by those that were so measured."""
        values = self.costs["values"]
        return Cost(values.tokens * points // timed, values.seconds * points / timed)

    def _sample(
        self, part: str, rows: Sequence[Example], points: Sequence[np.ndarray], *, gradients: bool
    ) -> Sample:
        passes = len(points) * (_SLOPE_PASSES if gradients else 1)
        return self._part(
            part, rows, passes, lambda rows: measure(self.model, rows, points, gradients=gradients)
        )

    def _part(
        self,
        name: str,
        rows: Sequence[Example],
        passes: int,
        make: Callable[[Sequence[Example]], T],
    ) -> T:
        started = time.perf_counter()
        made = make(rows)
        tokens = passes * sum(row.length for row in rows)
        self.costs[name] = Cost(tokens, time.perf_counter() - started)
        return made


def _work(field: Field, each: Calibrating) -> float:
    share = 1 if each.condition == "main" else _CONTROL_SHARE
    return sum(row.length for row in field.examples(each.domain, "calibration")) / share
