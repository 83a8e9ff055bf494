"""What a prediction or a tuning measures, as tasks: rows of a domain at a point of lambda space.

A tuning goes on in rounds, each of which asks for what the last one told. Their number is known
beforehand, so a round is a task for each domain that may find that there is nothing to do: whoever
does it takes the search as far as the files of the rounds before let it go.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from superpose.data.choices import ChoiceQuestion
from superpose.data.prompt import Example
from superpose.executor import Task, WorkFolder
from superpose.landscape.best_weights import BOUNDS, Objective, starts
from superpose.landscape.forecast import Forecast
from superpose.landscape.plan import SLOPE_WORK, CalibrationPlan, asked_points
from superpose.landscape.right_table import listed_sums
from superpose.landscape.subsets import design_points, subsets
from superpose.measure.by_direction import fine_weights
from superpose.measure.finer import By, Finer, finer_work
from superpose.measure.lambda_space import forecast
from superpose.measure.meter import KeptMeter, Point
from superpose.measure.tune import Asking, Tuned, Wanted, most_rounds, tune, tuning
from superpose.model.superposed import SuperposedModel

__all__ = ["Lot", "LotBench", "WeightSearch", "fitted_finer"]

_SLOPED = {"slopes", "choice slopes"}


class WeightSearch(NamedTuple):
    """What weights a tuning looks for. seed: of finer ones."""

    objective: Objective = "mean"
    bounds: tuple[float, float] = BOUNDS
    by: By = "adapter"
    seed: int = 0

    @property
    def rounds(self) -> str:
        """The folder of its rounds within the work's."""
        return f"rounds/{_digest(self.objective, self.bounds)}"

    @property
    def finer(self) -> str:
        """The file of its finer weights within the work's folder."""
        return f"finer/{_digest(*self)}.json"


@dataclass(frozen=True)
class Lot:
    """All rows that are measured, by domain, in the adapters' order.

    names: of the K adapters. rows, choices: of calibration. test_choices, test: of testing.
    """

    names: tuple[str, ...]
    rows: Mapping[str, Sequence[Example]]
    choices: Mapping[str, Sequence[ChoiceQuestion]] = field(default_factory=dict)
    test_choices: Mapping[str, Sequence[ChoiceQuestion]] = field(default_factory=dict)
    test: Mapping[str, Sequence[Example]] = field(default_factory=dict)

    def of_kind(self, kind: str) -> Mapping[str, Sequence[Any]]:
        """Give what a kind of measurement (see `KeptMeter.file`) is of."""
        return {
            "rows": self.rows, "slopes": self.rows, "choices": self.choices,
            "choice slopes": self.choices, "nll": self.test, "share": self.test_choices,
        }[kind]  # fmt: skip

    def predicting(self, plan: CalibrationPlan, kept: KeptMeter) -> list[Task]:
        """Give the tasks of a prediction."""
        count = len(self.names)
        wanted: list[tuple[str, str, Point]] = []
        for i, domain in enumerate(self.rows):
            sloped, plain = design_points(i, count)
            if plan.chosen == "measure":
                sloped, plain = [], asked_points(i, count, plan.weightings)
            wanted += [(kind, domain, p) for kind in ("slopes", "choice slopes") for p in sloped]
            wanted += [(kind, domain, p) for kind in ("rows", "choices") for p in plain]
            told = list(subsets(count)) if plan.chosen == "forecast" else plain
            wanted += [("nll", domain, p) for p in (*told, *plan.weightings)]
            wanted += [("share", domain, p) for p in listed_sums(count)]
        return self._tasks(wanted, kept)

    def tuning(self, search: WeightSearch, kept: KeptMeter) -> list[Task]:
        """Give the tasks of a tuning."""
        count = len(self.names)
        wanted: list[tuple[str, str, Point]] = []
        for i, domain in enumerate(self.rows):
            sloped, plain = design_points(i, count)
            wanted += [("slopes", domain, p) for p in sloped]
            known = {tuple(np.asarray(p).tolist()) for p in sloped}
            also = [p for p in starts(count) if tuple(p.tolist()) not in known]
            wanted += [("rows", domain, p) for p in (*plain, *also)]
        tasks = self._tasks(wanted, kept)
        before = tuple(task.file for task in tasks)
        known_rounds, all_rounds = most_rounds(count)
        for number in range(known_rounds, all_rounds):
            names = [f"{search.rounds}/{number}-{i}.json" for i in range(len(self.rows))]
            tasks += [
                Task(
                    f"tune {domain}, round {number}", name, ("round", number, i), len(rows), before
                )
                for i, (name, (domain, rows)) in enumerate(
                    zip(names, self.rows.items(), strict=True)
                )
            ]
            before = tuple(names)
        if search.by != "adapter":
            work = finer_work(self.rows)
            tasks.append(Task(f"tune by {search.by}", search.finer, ("finer",), work, before))
        return tasks

    def _tasks(self, wanted: Sequence[tuple[str, str, Point]], kept: KeptMeter) -> list[Task]:
        """Give a task for each measurement of rows that there are, each once."""
        found: dict[str, Task] = {}
        for kind, domain, point in wanted:
            if not (rows := self.of_kind(kind).get(domain)):
                continue
            weights = tuple(map(float, point))
            file = kept.file(kind, rows, weights)
            work = len(rows) * (SLOPE_WORK if kind in _SLOPED else 1.0)
            name = f"{kind} of {domain} at {', '.join(f'{weight:.4g}' for weight in weights)}"
            found.setdefault(file, Task(name, file, ("measure", kind, domain, weights), work))
        return list(found.values())


class LotBench:
    """Does the tasks of a lot with a superposed model, and leaves files."""

    def __init__(
        self, folder: WorkFolder, model: SuperposedModel, lot: Lot, search: WeightSearch
    ) -> None:
        self.kept, self.model, self.lot, self.search = KeptMeter(folder), model, lot, search
        self._rounds: list[Sequence[Wanted]] = []

    def do(self, kind: str, *what: Any) -> None:
        """Do a task of `Lot.predicting` or `Lot.tuning`."""
        kinds: Mapping[str, Callable[..., None]] = {
            "measure": self._measure,
            "round": self._round,
            "finer": self._finer,
        }
        kinds[kind](*what)

    @cached_property
    def _asking(self) -> Asking[Tuned]:
        """The search, as far as its rounds are known here."""
        objective, bounds = self.search.objective, self.search.bounds
        return tuning(self.forecast, objective=objective, bounds=bounds)

    @cached_property
    def forecast(self) -> Forecast:
        """What the rows tell of lambda space, read from the files of earlier tasks."""
        return forecast(self.model, self.lot.names, self.lot.rows, meter=self.kept)

    def _measure(self, kind: str, domain: str, point: tuple[float, ...]) -> None:
        rows = self.lot.of_kind(kind)[domain]
        if kind in ("rows", "slopes"):
            self.kept.rows(self.model, rows, [point], gradients=kind in _SLOPED)
        elif kind in ("choices", "choice slopes"):
            self.kept.choices(self.model, rows, [point], gradients=kind in _SLOPED)
        elif kind == "nll":
            self.kept.nll(self.model, rows, point)
        else:
            self.kept.share(self.model, rows, point)

    def _round(self, number: int, domain: int) -> None:
        asked = [one for one in self._asked(number) if one.domain == domain]
        for one in asked:
            self._sample(one)
        name = f"{self.search.rounds}/{number}-{domain}.json"
        self.kept.folder.write(name, {"measured": len(asked)})

    def _asked(self, number: int) -> Sequence[Wanted]:
        """Give what a round asks for; nothing where the search has ended before."""
        while len(self._rounds) <= number:
            try:
                if self._rounds:
                    asked = self._asking.send([self._sample(one) for one in self._rounds[-1]])
                else:
                    asked = next(self._asking)
            except StopIteration:
                asked = []
            self._rounds.append(asked)
        return self._rounds[number]

    def _sample(self, asked: Wanted) -> Any:
        return asked.measured(self.model, list(self.lot.rows.values())[asked.domain], self.kept)

    def _finer(self) -> None:
        tuned = self.tuned()
        found = fitted_finer(self.model, self.lot.rows, self.forecast, tuned, self.search)
        self.kept.folder.write(self.search.finer, found.to_json())

    def tuned(self) -> Tuned:
        """Give what the search ends with, from the files of its rounds."""
        return tune(
            self.model, self.lot.rows, self.forecast, meter=self.kept,
            objective=self.search.objective, bounds=self.search.bounds,
        )  # fmt: skip

    def finer(self) -> Finer | None:
        """Give the finer weights that lie here; None where none were asked for."""
        if self.search.by == "adapter":
            return None
        content = self.kept.folder.read(self.search.finer)
        weights = {
            name: {m: tuple(w) if isinstance(w, list) else w for m, w in each.items()}
            for name, each in content["weights"].items()
        }
        return Finer(**{**content, "weights": weights})


def fitted_finer(
    model: SuperposedModel,
    rows: Mapping[str, Sequence[Example]],
    found: Forecast,
    tuned: Tuned,
    search: WeightSearch,
    progress: Any = None,
) -> Finer:
    """Fit one weight for each group of modules, from the tuned weights on."""
    own = [s.nll[s.at(found.own(i))] for i, s in enumerate(found.samples)]
    return fine_weights(
        model, found.names, rows, tuned.best.weights, own, by=search.by, seed=search.seed,
        objective=search.objective, bounds=search.bounds, progress=progress,
    )  # fmt: skip


def _digest(*what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]
