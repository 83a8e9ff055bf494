"""Lambda space from question rows: each domain's loss measured where the design wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from superpose.data.domain import Row, question_key
from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.landscape.forecast import Forecast
from superpose.landscape.plan import SLOPE_WORK, CalibrationPlan, asked_points
from superpose.landscape.subsets import design_points
from superpose.measure.meter import Meter
from superpose.model.superposed import SuperposedModel
from superpose.shown.words import counted

__all__ = [
    "FEWEST",
    "calibration_cost",
    "calibration_work",
    "check_apart",
    "forecast",
    "measure_asked",
]

FEWEST = 2
"""Calibration rows a domain: a single one has no spread, and so no interval."""


def forecast(
    model: SuperposedModel,
    names: Sequence[str],
    domains: Mapping[str, Sequence[Example]],
    *,
    progress: Callable[[float], None] | None = None,
    meter: Meter = Meter(),  # noqa: B008 - it holds nothing
) -> Forecast:
    """Calibrate: measure every domain and fit its loss in the K task weights.

    model: with K adapters. names: what to call them, K different ones. domains: calibration rows of
    each adapter's own domain, in the adapters' order. progress: called with forward-equivalent
    rows done, `calibration_work` in all. meter: what measures.

    Raises BadInput for another number of domains than of adapters, and for rows without an answer.
    """
    _check(model, names, domains)
    tell = progress or (lambda _: None)
    samples = []
    for position, examples in enumerate(domains.values()):
        with_slope, plain = design_points(position, len(names))
        found = meter.rows(
            model, examples, with_slope, progress=lambda rows: tell(SLOPE_WORK * rows)
        )
        values = meter.rows(model, examples, plain, gradients=False, progress=tell)
        samples.append(found.joined(values))
    return Forecast(tuple(names), tuple(domains), tuple(samples))


def measure_asked(
    model: SuperposedModel,
    names: Sequence[str],
    domains: Mapping[str, Sequence[Example]],
    plan: CalibrationPlan,
    *,
    progress: Callable[[float], None] | None = None,
    meter: Meter = Meter(),  # noqa: B008
) -> Forecast:
    """Measure the very sums that are asked about, values alone: nothing is foretold.

    plan: whose weightings are measured on every domain, or without any every sum that holds a
    domain's own adapter on that domain; beside them the base and the own adapter. progress: called
    with rows done. Else as `forecast`, and raises as it does.
    """
    _check(model, names, domains)
    samples = []
    for position, examples in enumerate(domains.values()):
        points = asked_points(position, len(names), plan.weightings)
        samples.append(meter.rows(model, examples, points, gradients=False, progress=progress))
    return Forecast(tuple(names), tuple(domains), tuple(samples))


def _check(
    model: SuperposedModel, names: Sequence[str], domains: Mapping[str, Sequence[Example]]
) -> None:
    """Raise BadInput where adapters and domains do not belong together, or rows are too few."""
    if len(domains) != len(names) or len(model.adapters) != len(names):
        raise BadInput(
            f"{counted(len(names), 'adapter')} and {counted(len(domains), 'domain')}",
            hint="Each adapter has its own domain: give as many data files as adapters, in the "
            "adapters' order.",
        )
    for name, examples in domains.items():
        if len(examples) < FEWEST:
            raise BadInput(
                f"has {len(examples)} calibration rows, and an interval takes {FEWEST}",
                where=name,
            )


def calibration_work(domains: Mapping[str, Sequence[Example]]) -> float:
    """Give the work of `forecast` in forward passes of one row."""
    with_slope, plain = design_points(0, len(domains))
    rows = sum(map(len, domains.values()))
    return rows * (SLOPE_WORK * len(with_slope) + len(plain))


def calibration_cost(
    domains: Mapping[str, Sequence[Example]], seconds: float, passes: float | None = None
) -> dict[str, Any]:
    """Give what a forecast took: rows, their tokens, forward passes of one row each, seconds.

    Rows of each domain too. passes: where it was no forecast.
    """
    rows = sum(map(len, domains.values()))
    return {
        "rows": rows,
        "tokens": sum(example.length for found in domains.values() for example in found),
        "forward_equivalents": calibration_work(domains) / rows if passes is None else passes,
        "seconds": round(seconds, 2),
        "rows_of": {domain: len(found) for domain, found in domains.items()},
    }


def check_apart(calibration: Sequence[Row], test: Sequence[Row], where: object) -> None:
    """Raise BadInput when a test row's question stands among the calibration rows."""
    known = {question_key(row) for row in calibration}
    shared = [row for row in test if question_key(row) in known]
    if shared:
        raise BadInput(
            f"{len(shared)} of {len(test)} test rows are calibration rows too, the first "
            f"{shared[0].question[:60]!r}",
            where=where,
            hint="Predict from rows that are not evaluated: give other files, or split one.",
        )
