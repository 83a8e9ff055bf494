"""Predict: what every predictor says of every measured point, from calibration rows alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from benchmarks.prediction.calibrate import Calibrating, beside
from benchmarks.prediction.calibration_file import Cost, read_calibration, read_costs
from benchmarks.prediction.field import Field
from benchmarks.prediction.measured import Measured, losses, measured
from superpose.adapter import Adapter
from superpose.interference.predictors import DATA_FREE, Case
from superpose.landscape.predictors import DATA_AWARE, Calibrated, DataCase

__all__ = ["Predicted", "costs", "predicted"]


@dataclass(frozen=True)
class Predicted:
    """A measured point with every predictor's figure, by name; NaN where there is none."""

    row: Measured
    figures: Mapping[str, float]


def predicted(field: Field) -> Iterator[Predicted]:
    """Give every measured point with its figures.

    A point whose domain is not calibrated yet has figures from the weights alone. Raises BadInput
    for a damaged file.
    """

    @cache
    def adapters(each: Calibrating) -> list[Adapter]:
        return beside(field, each.condition, each.seed, each.domain)

    @cache
    def calibration(each: Calibrating) -> Calibrated | None:
        there = (field.folder.path / each.file).exists()
        scattered = replace(each, scattered=True).file
        return read_calibration(field, each.file, scattered) if there else None

    for row in measured(losses(field.folder.path)):
        each = Calibrating(row.point.condition, row.point.seed, row.domain)
        # Only the random partners differ from one measured domain to the next.
        standing = each if each.condition == "random" else _anywhere(field, each)
        yield Predicted(row, _figures(field, row, adapters(standing), calibration(each)))


def costs(field: Field) -> dict[str, Cost]:
    """Give what each part of a main calibration costs, as means over domains and seeds."""
    found = [read_costs(field, file) for file in _main_files(field)]
    parts = dict.fromkeys(part for each in found for part in each)
    return {part: _mean([each[part] for each in found if part in each]) for part in parts}


def _figures(
    field: Field, row: Measured, adapters: list[Adapter], calibration: Calibrated | None
) -> dict[str, float]:
    place = field.names.index(row.domain)
    places = tuple(field.names.index(n) for n in row.point.domains if n != row.domain)
    own, others = adapters[place], tuple(adapters[k] for k in places)
    if calibration is None:
        case = Case(own, others)
        nothing = {predictor.name: math.nan for predictor in DATA_AWARE}
        return {p.name: p.predict(case) for p in DATA_FREE} | nothing
    known = DataCase(own, others, calibration, place, places)
    free = {p.name: p.predict(known) for p in DATA_FREE}
    return free | {p.name: p.predict(known) for p in DATA_AWARE}


def _anywhere(field: Field, each: Calibrating) -> Calibrating:
    return Calibrating(each.condition, each.seed, field.names[0])


def _main_files(field: Field) -> list[str]:
    kinds = ("calibration", "scattered")
    paths = [p for k in kinds for p in sorted(field.folder.path.glob(f"{k}/main/seed-*/*.json"))]
    return [path.relative_to(field.folder.path).as_posix() for path in paths]


def _mean(found: list[Cost]) -> Cost:
    tokens = round(sum(cost.tokens for cost in found) / len(found))
    return Cost(tokens, sum(cost.seconds for cost in found) / len(found))
