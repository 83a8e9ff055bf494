"""Merge methods against each other, each at the same budget, measured on rows none of them saw.

Of every method one setting and one scale are chosen on the calibration rows. The budget is counted
in passes over these rows: as many for every method, what it reads of them for its own sake among
them. Then the chosen one is measured once on the test rows, and each row's loss is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import nn

from superpose.adapter import Adapter, met
from superpose.adapter.made import Setting
from superpose.compose import Method, Sum, Tuned, merge
from superpose.compose.from_inputs import FromInputs
from superpose.data.input_statistics import InputStatistics
from superpose.data.prompt import Example
from superpose.errors import BadInput, BadSetting
from superpose.measure.contenders import Contender
from superpose.measure.evaluate import Score, score
from superpose.measure.fitted import fitted_within
from superpose.measure.inputs import measure_inputs
from superpose.measure.scale_search import next_scale
from superpose.model.superposed import SuperposedModel, tree_of_loaded

__all__ = ["PASSES", "Arena", "Standing", "Trial", "scores_of"]

PASSES = 6
"""Passes over the calibration rows that every method has."""

_FIRST = 1 / 3
"""Share of a tuned sum's budget that finds where to start from."""

Rows = Mapping[str, Sequence[Example]]


@dataclass(frozen=True)
class Trial:
    """One setting at one scale on the calibration rows.

    nll: by domain, nats an answer token; infinite where the model broke.
    """

    settings: Mapping[str, Setting]
    scale: float
    nll: Mapping[str, float]

    @property
    def objective(self) -> float:
        """What is to be small: the mean over the domains, each counting alike."""
        return math.fsum(self.nll.values()) / len(self.nll)


@dataclass(frozen=True)
class Standing:
    """What became of one method.

    settings, scale: that were chosen. trials: all that were measured on the calibration rows.
    passes: over these rows, in forward passes. scores: on the test rows, by domain. rank: the
    largest of a module. bytes: of the result's factors in float32. merging, seconds: that one merge
    took, and all of it.
    """

    method: str
    settings: Mapping[str, Setting]
    scale: float
    trials: tuple[Trial, ...]
    passes: float
    scores: Mapping[str, Score]
    rank: int
    bytes: int
    merging: float
    seconds: float

    @property
    def objective(self) -> float:
        """The mean over the domains of the test rows' nats an answer token."""
        return math.fsum(found.nll for found in self.scores.values()) / len(self.scores)

    def to_json(self) -> dict[str, Any]:
        """Give all of it; `from_json` gives it back."""
        return {
            **vars(self),
            "trials": [vars(trial) for trial in self.trials],
            "scores": {name: vars(found) for name, found in self.scores.items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Standing:
        """Read what `to_json` gave."""
        scores = {
            name: Score(tuple(found["row_nll"]), tuple(found["row_tokens"]))
            for name, found in content["scores"].items()
        }
        trials = tuple(Trial(**trial) for trial in content["trials"])
        return cls(**{**content, "scores": scores, "trials": trials})


class Arena:
    """Adapters of one base model, with calibration and test rows, in which methods are tried.

    model: the bare base, on any device. adapters: K of it. calibration: rows of each adapter's own
    domain, in the adapters' order. test: rows by domain, of the same domains or others. same_base:
    bases of different names are one. progress: called with rows done, each a forward pass of one
    row; `work` is how many a contender takes.

    Raises BadInput for another number of domains than of adapters, and as `merge` does.
    """

    def __init__(
        self,
        model: nn.Module,
        adapters: Sequence[Adapter],
        calibration: Rows,
        test: Rows,
        *,
        passes: int = PASSES,
        same_base: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        if len(adapters) != len(calibration) or not test:
            raise BadInput(
                f"{len(adapters)} adapters, calibration rows of {len(calibration)} domains and "
                f"test rows of {len(test)}",
                hint="Each adapter has its own domain, and there is something to test on.",
            )
        self.model, self.adapters = model, tuple(adapters)
        self.calibration, self.test = calibration, test
        self.passes, self.same_base = passes, same_base
        self.progress = progress or (lambda _: None)
        self.tree = tree_of_loaded(model)

    @property
    def work(self) -> int:
        """Forward passes of one row that a contender takes."""
        rows = sum(map(len, self.calibration.values()))
        return self.passes * rows + sum(map(len, self.test.values()))

    @cached_property
    def statistics(self) -> tuple[InputStatistics, ...]:
        """What the base model's modules see on each domain's calibration rows: one pass."""
        known = (name for adapter in met(self.adapters, self.tree) for name in adapter)
        modules = tuple(dict.fromkeys(known))
        return tuple(
            measure_inputs(self.model, modules, rows, progress=self.progress)
            for rows in self.calibration.values()
        )

    def standing(self, contender: Contender) -> Standing:
        """Choose a contender's setting and scale, and measure it on the test rows.

        Raises BadSetting where the passes are fewer than its settings, and as the method does.
        """
        started = time.perf_counter()
        search = _Search(self, contender)
        place, scale = search.chosen()
        merged = search.merged[place]
        scores = scores_of(self.model, merged, scale, self.test, self.progress)
        return Standing(
            contender.name,
            dict(contender.tries[place].settings),
            scale,
            tuple(trial for _, trial in search.trials),
            float(search.spent),
            scores,
            merged.rank,
            4 * merged.parameters,
            search.merging / len(search.merged),
            time.perf_counter() - started,
        )

    def merged(self, method: Method) -> Adapter:
        """Give what a method makes of the adapters, with what it needs of their domains."""
        if isinstance(method, FromInputs):
            method = replace(method, statistics=self.statistics)
        return merge(self.adapters, None, method, same_base=self.same_base, tree=self.tree)


class _Search:
    """One contender's settings at scale 1, and then scales of the best of them."""

    def __init__(self, arena: Arena, contender: Contender) -> None:
        self.arena, self.contender = arena, contender
        self.trials: list[tuple[int, Trial]] = []
        self.merged: list[Adapter] = []
        self.merging = 0.0
        asks = any(isinstance(method, FromInputs) for method in contender.tries)
        self.spent = int(asks)
        if self.spent + len(contender.tries) > arena.passes:
            raise BadSetting(
                f"{arena.passes} passes over the calibration rows are too few for "
                f"{len(contender.tries)} settings of `{contender.name}`",
                where="passes",
            )
        if asks:
            arena.statistics  # noqa: B018 - before the clock of the merging runs

    def chosen(self) -> tuple[int, float]:
        """Spend the budget; give the best setting's place and its scale."""
        tuned = self.contender.tries[0]
        if isinstance(tuned, Tuned):
            return self._fitted(tuned)
        for place, method in enumerate(self.contender.tries):
            started = time.perf_counter()
            self.merged.append(self.arena.merged(method))
            self.merging += time.perf_counter() - started
            self._measure(place, 1.0)
        best = min(self.trials, key=lambda found: found[1].objective)[0]
        while self.spent < self.arena.passes:
            known = {t.scale: t.objective for place, t in self.trials if place == best}
            self._measure(best, next_scale(known))
        return best, min((t for p, t in self.trials if p == best), key=_objective).scale

    def _fitted(self, tuned: Tuned) -> tuple[int, float]:
        """Spend a part on the plain sum's scale, and the rest on steps from there."""
        arena = self.arena
        self.merged.append(arena.merged(Sum()))
        for _ in range(max(1, round(_FIRST * arena.passes))):
            known = {trial.scale: trial.objective for _, trial in self.trials}
            self._measure(0, next_scale(known) if known else 1.0)
        start = min((trial for _, trial in self.trials), key=_objective).scale
        left = (arena.passes - self.spent) * sum(map(len, arena.calibration.values()))
        started = time.perf_counter()
        fitted, work = fitted_within(
            arena.model, arena.adapters, arena.calibration, start, tuned.by, left, arena.progress
        )
        self.merged = [arena.merged(fitted)]
        self.merging = time.perf_counter() - started
        arena.progress(left - work)
        self.spent = arena.passes
        return 0, 1.0

    def _measure(self, place: int, scale: float) -> None:
        arena, method = self.arena, self.contender.tries[place]
        try:
            found = scores_of(
                arena.model, self.merged[place], scale, arena.calibration, arena.progress
            )
            nll = {name: each.nll for name, each in found.items()}
        except BadInput:  # the likelihoods are not finite: that large, it breaks the model
            nll = dict.fromkeys(arena.calibration, math.inf)
        self.trials.append((place, Trial(dict(method.settings), scale, nll)))
        self.spent += 1


def _objective(trial: Trial) -> float:
    return trial.objective


def scores_of(
    model: nn.Module,
    adapter: Adapter | None,
    scale: float,
    rows: Rows,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Score]:
    """Score a base model with one adapter at a task weight, or bare, on each domain's rows.

    Raises BadInput where its likelihoods are not finite.
    """
    adapters = [] if adapter is None else [adapter]
    with SuperposedModel(model, adapters) as superposed, superposed.at([scale][: len(adapters)]):
        return {name: score(model, found, progress=progress) for name, found in rows.items()}
