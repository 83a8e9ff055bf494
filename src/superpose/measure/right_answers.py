"""Measure questions with choices where a forecast measured its rows, for `RightAnswers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.data.choices import ChoiceQuestion
from superpose.data.domain import Row
from superpose.landscape.forecast import Forecast
from superpose.landscape.right_answers import RightAnswers
from superpose.landscape.sample import Sample
from superpose.measure.meter import Meter
from superpose.model.superposed import SuperposedModel

__all__ = ["ChoiceRow", "right_answers", "right_shares", "right_work"]

Array = NDArray[np.float64]
Progress = Callable[[float], None]

SLOPE_WORK = 2.0
"""A slope costs about two forward passes: forward, and back through the activations alone."""


@dataclass(frozen=True)
class ChoiceRow:
    """A question with choices: as text, and as token ids."""

    row: Row
    question: ChoiceQuestion


def right_answers(
    model: SuperposedModel,
    found: Forecast,
    asked: Mapping[str, Sequence[ChoiceRow]],
    *,
    progress: Progress | None = None,
    meter: Meter = Meter(),  # noqa: B008 - it holds nothing
) -> tuple[RightAnswers, ...]:
    """Give right answers of every domain that has questions with choices.

    found: a forecast with the same model. asked: by domain; each is measured at the task weights at
    which the forecast measured that domain, with slopes where it has slopes. progress: called with
    forward passes of one question, `right_work` in all. meter: what measures.
    """
    tell = progress or (lambda _: None)
    answers = []
    for own, (domain, sample) in enumerate(zip(found.domains, found.samples, strict=True)):
        if not (held := asked.get(domain)):
            continue
        questions = [one.question for one in held]
        sloped = _sloped(sample)
        measured = meter.choices(
            model, questions, [*sample.points[sloped]], progress=lambda n: tell(SLOPE_WORK * n)
        )
        if not sloped.all():
            values = [*sample.points[~sloped]]
            measured = measured.joined(
                meter.choices(model, questions, values, gradients=False, progress=tell)
            )
        rows = tuple(one.row for one in held)
        answers.append(RightAnswers(found.names, domain, own, rows, measured))
    return tuple(answers)


def right_work(found: Forecast, asked: Mapping[str, Sequence[ChoiceRow]]) -> float:
    """Give the work of `right_answers` in forward passes of one question."""
    work = 0.0
    for domain, sample in zip(found.domains, found.samples, strict=True):
        slopes = int(_sloped(sample).sum())
        passes = SLOPE_WORK * slopes + len(sample.points) - slopes
        work += passes * len(asked.get(domain, ()))
    return work


def right_shares(
    model: SuperposedModel,
    points: Sequence[Sequence[float]] | Array,
    asked: Mapping[str, Sequence[ChoiceRow]],
    *,
    progress: Progress | None = None,
    meter: Meter = Meter(),  # noqa: B008
) -> dict[tuple[tuple[float, ...], str], float]:
    """Give the measured share of right answers, by task weights and domain.

    points: (S, K). progress: called with questions done, S times all of them in the end.
    """
    shares = {}
    for point in points:
        weights = tuple(float(weight) for weight in point)
        for domain, held in asked.items():
            questions = [one.question for one in held]
            shares[weights, domain] = meter.share(model, questions, weights, progress)
    return shares


def _sloped(sample: Sample) -> NDArray[np.bool_]:
    """Where slopes were measured as well: (P,)."""
    return np.asarray(~np.isnan(sample.gradient).any(axis=(1, 2, 3)))
