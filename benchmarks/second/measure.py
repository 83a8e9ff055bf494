"""Measure every part: each row's nats at each weighting, of every choice where it has choices.

A finished part is one JSON file, so measuring goes on where it was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.prediction.adapters import trained
from benchmarks.prediction.calibration_file import digits
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs, work_off
from benchmarks.second.plan import Part, choice_point, parts, weightings
from benchmarks.second.rows import seeds_left
from superpose.measure.calibrate import measure
from superpose.measure.choices import measure_choices
from superpose.model import SuperposedModel

__all__ = ["asked", "measure_missing", "measurer"]

SLOPE_WORK = 4.0
"""What slopes of nats and margins cost in forward passes of the answers alone."""

SLOPED = 64
"""Questions whose margin's slope is measured, the first ones of the calibration rows."""


def measure_missing(field: Field, jobs: Jobs = 1) -> None:
    """Measure what is neither on record nor in the folder yet; the caller holds the folder's lock.

    Raises BadInput where an adapter that is needed was not trained yet.
    """
    left = seeds_left(field)
    wanted = [each for each in parts(field) if each.seed in left]
    todo = [each for each in wanted if not (field.folder.path / each.file).exists()]
    work_off(field, todo, [_work(field, each) for each in todo], measurer, jobs)


@contextmanager
def measurer(field: Field) -> Iterator[Callable[[Part], None]]:
    """Give the function that measures one part."""

    def do(part: Part) -> None:
        adapters = [trained(field, "main", part.seed, name) for name in field.names]
        started = time.perf_counter()
        with SuperposedModel(field.base.model, adapters) as model:
            found = measured(field, part, model)
        seconds = round(time.perf_counter() - started, 1)
        field.folder.write(part.file, found | {"seconds": seconds})

    yield do


def measured(field: Field, part: Part, model: SuperposedModel) -> dict[str, Any]:
    """Give what is written of a part.

    points: (P, K). tokens: (R,) of each row's answer. nll: (P, R), nats of the answers. right:
    (R,) which choice is the answer, and choices: for each point the nats of every row's choices,
    null where they are not measured; both null where rows have none. slopes: (P, R, K) of the nats;
    margin_slopes: (P, Q, K) of the first Q questions' margins; null but for the part of slopes.
    """
    points, rows = weightings(field, part), asked(part)
    examples = field.examples(part.domain, rows)
    questions = field.questions(part.domain, rows)
    gradients = part.part == "slopes"
    choosing = [bool(questions) and not gradients and choice_point(point) for point in points]
    plain = measure(model, examples, list(points[~np.array(choosing)]), gradients=gradients)
    nll: list[Any] = [None] * len(points)
    choices: list[Any] = [None] * len(points)
    for row, p in zip(plain.nll, np.flatnonzero(~np.array(choosing)), strict=True):
        nll[p] = digits(row, 7)
    found: dict[str, Any] = {"points": points.tolist(), "tokens": plain.tokens.tolist()}
    if any(choosing):
        chosen = measure_choices(model, questions, list(points[choosing]), gradients=False)
        for values, p in zip(chosen.nll, np.flatnonzero(choosing), strict=True):
            choices[p] = [digits(each[np.isfinite(each)], 6) for each in values]
            nll[p] = [each[r] for each, r in zip(choices[p], chosen.right, strict=True)]
    found |= {"nll": nll, "choices": choices if questions else None}
    found["right"] = [question.right for question in questions] or None
    found |= {"slopes": None, "margin_slopes": None}
    if gradients:
        found["slopes"] = digits(plain.gradient.sum(axis=2), 6)
    if gradients and questions:
        first = questions[:SLOPED]
        margins = measure_choices(model, first, list(points), gradients=True)
        found["margin_slopes"] = digits(margins.slope, 5)
        found["choices"] = [
            [digits(each[np.isfinite(each)], 6) for each in values] for values in margins.nll
        ]
    return found


def asked(part: Part) -> str:
    """Which of a domain's rows a part is measured on."""
    return "test" if part.part == "test" else "calibration"


def _work(field: Field, part: Part) -> float:
    tokens = sum(row.length for row in field.examples(part.domain, asked(part)))
    passes = len(weightings(field, part)) * (SLOPE_WORK if part.part == "slopes" else 1.0)
    return float(np.round(tokens * passes))
