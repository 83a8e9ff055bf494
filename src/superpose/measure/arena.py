"""Merge methods against each other, each at the same budget, measured on rows none of them saw.

Of every method one setting and one scale are chosen on the calibration rows. The budget is counted
in passes over these rows: as many for every method, what it reads of them for its own sake among
them. Then the chosen one is measured once on the test rows, and each row's loss is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from torch import nn

from superpose.adapter import Adapter, met
from superpose.compose import (
    FineWeights,
    Method,
    RegMean,
    RegMeanTuned,
    Sum,
    TunedSum,
    merge,
)
from superpose.compose.from_inputs import FromInputs
from superpose.data.choices import ChoiceQuestion
from superpose.data.input_statistics import InputStatistics
from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.measure.choices import choice_nll
from superpose.measure.contenders import Contender
from superpose.measure.evaluate import Score, score
from superpose.measure.fitted import fitted_within
from superpose.measure.inputs import inputs_of_domains
from superpose.measure.scale_search import next_scale
from superpose.measure.standing import Standing, Trial
from superpose.model.superposed import SuperposedModel, tree_of_loaded

__all__ = ["PASSES", "Answered", "Arena", "ArenaRows", "Standing", "Trial", "answered"]

PASSES = 6
"""Passes over the calibration rows that every method has."""

_FIRST = 1 / 3
"""Share of a tuned sum's budget that finds where to start from."""

Rows = Mapping[str, Sequence[Example]]


class ArenaRows(NamedTuple):
    """Test rows by domain, and the questions among them that have choices, by domain."""

    rows: Rows
    choices: Mapping[str, Sequence[ChoiceQuestion]] = MappingProxyType({})

    @property
    def work(self) -> int:
        """How much is told to a progress: rows, and questions with choices."""
        return sum(map(len, (*self.rows.values(), *self.choices.values())))

    def of(self, domains: Sequence[str]) -> ArenaRows:
        """Give what belongs to some of the domains."""
        choices = {d: self.choices[d] for d in domains if d in self.choices}
        return ArenaRows({d: self.rows[d] for d in domains}, choices)


class Answered(NamedTuple):
    """What a model makes of test rows, by domain; right: as in `Standing`."""

    scores: dict[str, Score]
    right: dict[str, tuple[bool, ...]]


class Arena:
    """Adapters of one base model, with calibration and test rows, in which methods are tried.

    model: the bare base, on any device. adapters: K of it. calibration: rows of each adapter's own
    domain, in the adapters' order. test: rows by domain, of the same domains or others, and what of
    them has choices. passes: over the calibration rows, of every method. same_base: bases of
    different names are one. progress: called with rows done, each a forward pass of one
    row; `work` is how many a contender takes.

    Raises BadInput for another number of domains than of adapters, and as `merge` does.
    """

    def __init__(
        self,
        model: nn.Module,
        adapters: Sequence[Adapter],
        calibration: Rows,
        test: Rows | ArenaRows,
        *,
        passes: int = PASSES,
        same_base: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self.test = test if isinstance(test, ArenaRows) else ArenaRows(test)
        if len(adapters) != len(calibration) or not self.test.rows:
            raise BadInput(
                f"{len(adapters)} adapters, calibration rows of {len(calibration)} domains and "
                f"test rows of {len(self.test.rows)}",
                hint="Each adapter has its own domain, and there is something to test on.",
            )
        self.model, self.adapters = model, tuple(adapters)
        self.calibration = calibration
        self.passes, self.same_base = passes, same_base
        self.progress = progress or (lambda _: None)
        self.tree = tree_of_loaded(model)

    @property
    def work(self) -> int:
        """Forward passes of one row that a contender takes."""
        rows = sum(map(len, self.calibration.values()))
        return self.passes * rows + self.test.work

    @cached_property
    def statistics(self) -> tuple[InputStatistics, ...]:
        """What the base model's modules see on each domain's calibration rows: one pass."""
        return inputs_of_domains(
            self.model, self.adapters, self.calibration, progress=self.progress
        )

    def standing(self, contender: Contender) -> Standing:
        """Choose a contender's setting and scale, and measure it on the test rows.

        Raises BadSetting where the passes are fewer than its settings, and as the method does.
        """
        started = time.perf_counter()
        search = _Search(self, contender)
        place, scale = search.chosen()
        merged = search.merged[place]
        found = answered(self.model, merged, scale, self.test, self.progress)
        return Standing(
            method=contender.name,
            settings=dict(contender.tries[place].settings),
            scale=scale,
            trials=tuple(trial for _, trial in search.trials),
            passes=float(search.spent),
            rank=merged.rank,
            bytes=4 * merged.parameters,
            merging=search.merging / len(search.merged),
            seconds=time.perf_counter() - started,
            fine=search.fine,
            **found._asdict(),
        )

    def reference(self, name: str, adapters: Mapping[str, Adapter | None]) -> Standing:
        """Measure what methods are held against on the test rows: nothing is chosen.

        adapters: by domain, whose rows it is measured on; None is the bare base model.
        """
        started = time.perf_counter()
        found = Answered({}, {})
        for adapter in {id(each): each for each in adapters.values()}.values():
            own = self.test.of([d for d, each in adapters.items() if each is adapter])
            part = answered(self.model, adapter, 1.0, own, self.progress)
            found.scores.update(part.scores)
            found.right.update(part.right)
        known = [adapter for adapter in adapters.values() if adapter is not None]
        return Standing(
            method=name,
            settings={},
            scale=1.0,
            trials=(),
            passes=0.0,
            rank=max((adapter.rank for adapter in known), default=0),
            bytes=max((4 * adapter.parameters for adapter in known), default=0),
            merging=0.0,
            seconds=time.perf_counter() - started,
            **found._asdict(),
        )

    @cached_property
    def naive(self) -> Adapter:
        """The exact sum at task weights 1."""
        return self.merged(Sum())

    def merged(self, method: Method) -> Adapter:
        """Give what a method makes of the adapters, with what it needs of their domains."""
        if isinstance(method, FromInputs):
            method = replace(method, statistics=self.statistics)
        return merge(self.adapters, None, method, same_base=self.same_base, tree=self.tree)

    def apart(self, method: Method) -> Sequence[Adapter]:
        """Give the adapters as they take part in a method's sum."""
        if not isinstance(method, FromInputs):
            return self.adapters
        told = replace(method, statistics=self.statistics)
        return told.apart(met(self.adapters, self.tree), [1.0] * len(self.adapters))


class _Search:
    """One contender's settings at scale 1, and then scales of the best of them."""

    def __init__(self, arena: Arena, contender: Contender) -> None:
        self.arena, self.contender = arena, contender
        self.trials: list[tuple[int, Trial]] = []
        self.merged: list[Adapter] = []
        self.merging = 0.0
        contender.within(arena.passes)
        asks = contender.asks
        self.spent = int(asks)
        self.fine: tuple[FineWeights, ...] = ()
        if asks and "statistics" in vars(arena):
            arena.progress(sum(map(len, arena.calibration.values())))  # measured for another
        elif asks:
            arena.statistics  # noqa: B018 - before the clock of the merging runs

    def chosen(self) -> tuple[int, float]:
        """Spend the budget; give the best setting's place and its scale."""
        tuned = self.contender.tries[0]
        if isinstance(tuned, TunedSum | RegMeanTuned):
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

    def _fitted(self, tuned: TunedSum | RegMeanTuned) -> tuple[int, float]:
        """Spend a part on the scale without fine weights, and the rest on steps from there."""
        arena = self.arena
        before = Sum() if isinstance(tuned, TunedSum) else RegMean(ridge=tuned.ridge)
        self.merged.append(arena.merged(before))
        for _ in range(max(1, round(_FIRST * arena.passes))):
            known = {trial.scale: trial.objective for _, trial in self.trials}
            self._measure(0, next_scale(known) if known else 1.0)
        start = min((trial for _, trial in self.trials), key=_objective).scale
        left = (arena.passes - self.spent) * sum(map(len, arena.calibration.values()))
        started = time.perf_counter()
        fitted, work = fitted_within(
            arena.model, arena.apart(before), arena.calibration, start, tuned.by, left,
            arena.progress,
        )  # fmt: skip
        self.fine = fitted.weights
        self.merged = [arena.merged(replace(tuned, weights=fitted.weights))]
        self.merging = time.perf_counter() - started
        arena.progress(left - work)
        self.spent = arena.passes
        return 0, 1.0

    def _measure(self, place: int, scale: float) -> None:
        arena, method = self.arena, self.contender.tries[place]
        try:
            found = answered(
                arena.model, self.merged[place], scale, ArenaRows(arena.calibration), arena.progress
            )
            nll = {name: each.nll for name, each in found.scores.items()}
        except BadInput:  # the likelihoods are not finite: that large, it breaks the model
            nll = dict.fromkeys(arena.calibration, math.inf)
        self.trials.append((place, Trial(dict(method.settings), scale, nll)))
        self.spent += 1


def _objective(trial: Trial) -> float:
    return trial.objective


def answered(
    model: nn.Module,
    adapter: Adapter | None,
    scale: float,
    asked: ArenaRows,
    progress: Callable[[float], None] | None = None,
) -> Answered:
    """Score a base model with one adapter at a task weight, or bare, on each domain's rows.

    Of choices the likeliest as a whole is the model's, of equals the first. Raises BadInput where
    likelihoods are not finite.
    """
    adapters, weights = ([], []) if adapter is None else ([adapter], [scale])
    with SuperposedModel(model, adapters) as superposed, superposed.at(weights) as weighted:
        scores = {d: score(weighted, rows, progress=progress) for d, rows in asked.rows.items()}
        right = {}
        for domain, questions in asked.choices.items():
            nll = choice_nll(weighted, questions, progress=progress).nll
            answers = [question.right for question in questions]
            right[domain] = tuple((nll.argmin(axis=1) == answers).tolist())
    return Answered(scores, right)
