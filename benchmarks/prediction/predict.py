"""Predict: what every predictor says of every measured point, from calibration rows alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction.calibrate import Calibrating, beside
from benchmarks.prediction.calibration_file import Cost, read_calibration, read_costs
from benchmarks.prediction.field import Field
from benchmarks.prediction.measured import Measured, losses, measured
from superpose.adapter import Adapter
from superpose.interference.predictors import DATA_FREE, Case
from superpose.landscape.calibrated import Calibrated, DataCase
from superpose.landscape.predictors import DATA_AWARE

__all__ = ["Predicted", "costs", "predicted"]

Array = NDArray[np.float64]


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

    @cache
    def slopes(condition: str, seed: int) -> Array | None:
        """Each domain's slope at its own adapter, where all of them stand beside each other."""
        all_of_them = [calibration(Calibrating(condition, seed, name)) for name in field.names]
        known = [each for each in all_of_them if each is not None]
        alone = condition != "random" and len(known) == len(field.names)
        return np.stack([_own_slope(each, k) for k, each in enumerate(known)]) if alone else None

    for row in measured(losses(field.folder.path)):
        each = Calibrating(row.point.condition, row.point.seed, row.domain)
        # Only the random partners differ from one measured domain to the next.
        standing = each if each.condition == "random" else _anywhere(field, each)
        found = calibration(each)
        if found is not None:
            found = replace(found, slopes=slopes(each.condition, each.seed))
        yield Predicted(row, _figures(field, row, adapters(standing), found))


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


def _own_slope(calibration: Calibrated, place: int) -> Array:
    """Give the slope at the own adapter alone, by each task weight; NaN where there is none."""
    sample = calibration.sample
    at = sample.at(np.eye(sample.points.shape[1])[place])
    return np.full(sample.points.shape[1], np.nan) if at is None else sample.slope[at]


def _anywhere(field: Field, each: Calibrating) -> Calibrating:
    return Calibrating(each.condition, each.seed, field.names[0])


def _main_files(field: Field) -> list[str]:
    kinds = ("calibration", "scattered")
    paths = [p for k in kinds for p in sorted(field.folder.path.glob(f"{k}/main/seed-*/*.json"))]
    return [path.relative_to(field.folder.path).as_posix() for path in paths]


def _mean(found: list[Cost]) -> Cost:
    tokens = round(sum(cost.tokens for cost in found) / len(found))
    return Cost(tokens, sum(cost.seconds for cost in found) / len(found))
