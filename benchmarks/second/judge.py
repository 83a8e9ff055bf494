"""Judge the second tournament: the record, from row losses and the figures of the weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.prediction.again import judged_anew
from benchmarks.prediction.field import Field
from benchmarks.prediction.judging import GROUPS
from benchmarks.prediction.measured import Measured
from benchmarks.prediction.points import Point
from benchmarks.prediction.relation import Points, ceiling
from benchmarks.prediction.tournament import counted, write
from benchmarks.prediction.workers import Jobs
from benchmarks.result import stamp, write_record
from benchmarks.second.accuracy import right_answers
from benchmarks.second.coverage import coverage
from benchmarks.second.figures import AVAILABLE, RIVALS, aware, free, rows_of, told
from benchmarks.second.forms import forms
from benchmarks.second.merged import merged_pairs
from benchmarks.second.nine import collected_nine, recorded_nine
from benchmarks.second.norms import norms_judged, scales
from benchmarks.second.plan import Part
from benchmarks.second.rivals import Seen, collected_rivals, recorded_rivals
from benchmarks.second.rows import (
    RECORD,
    Measurements,
    collected,
    kept,
    record_before,
    recorded_rows,
)
from benchmarks.second.turning import signs_judged
from superpose.errors import BadInput
from superpose.landscape.predictors import PREDICTORS

__all__ = ["again", "judge", "judged_rows", "passes"]

Figures = Callable[[Measured], Mapping[str, float]]


def judge(field: Field, jobs: Jobs = 1) -> None:
    """Judge the seeds that are finished, and write the record: row losses, figures, judgements.

    Seeds that are on record already count too, without their folder: one machine goes on where
    another one stopped. Raises BadInput where no seed is finished. jobs are of no use here.
    """
    before = record_before(field)
    kept(collected(field, recorded_rows() if before else None))
    found = recorded_rows()  # in single precision, as whoever has the record sees them
    of_weights = free(field, scales(found))
    if before:
        of_weights = _first(told(before), of_weights)
    about = {
        "tournament": field.tournament.to_json(),
        "left_out": [seed for seed in field.tournament.seeds if seed not in found.seeds],
        "rows": {name: counted(field, name) for name in found.domains},
        "lengths": {
            name: sum(row.length for row in field.examples(name, "calibration"))
            for name in found.domains
        },
        "measured_with": stamp(),
    }
    seen = collected_rivals(field)
    write_record(RECORD, judged_rows(found, of_weights, about, collected_nine(field), seen))
    write(field)


def _first(known: Figures, others: Figures) -> Figures:
    """Give the figures of a point that are known; of the others those that can be had."""

    def figures(row: Measured) -> Mapping[str, float]:
        try:
            return known(row)
        except KeyError:
            return others(row)

    return figures


def again(field: Field, jobs: Jobs = 1) -> None:
    """Judge anew from the recorded row losses, and what the record says that the weights tell.

    Raises BadInput where there is no record.
    """
    if not RECORD.exists():
        raise BadInput("nothing was judged yet", hint="Run: python -m benchmarks.second judge")
    before = json.loads(RECORD.read_text(encoding="utf-8"))
    beside = recorded_nine(), recorded_rivals()
    write_record(RECORD, judged_rows(recorded_rows(), told(before), before["about"], *beside))
    write(field)


def judged_rows(
    found: Measurements,
    of_weights: Figures,
    about: Mapping[str, Any],
    nine: Measurements | None = None,
    seen: Mapping[tuple[int, str], Seen] | None = None,
) -> dict[str, Any]:
    """Give the record: everything that row losses tell, and figures of the weights.

    about: what rows do not tell, such as the settings and the calibration rows' lengths. nine: what
    was measured with nine adapters. seen: by seed and domain, what was measured for rivals.
    """
    rows, of_data = list(rows_of(found)), aware(found, seen)
    figures = [{**of_weights(row), **of_data(row)} for row in rows]
    entered = [
        predictor
        for predictor in PREDICTORS
        if any(np.isfinite(each[predictor.name]) for each in figures)
    ]
    by_sum: dict[Point, dict[str, Mapping[str, float]]] = {}
    for row, each in zip(rows, figures, strict=True):
        by_sum.setdefault(row.point, {})[row.domain] = each
    available = AVAILABLE | (RIVALS if seen else set())
    spent = _costs(found, about["lengths"], seen or {})
    record = {
        "about": dict(about),
        "tournament": about["tournament"],
        "adapters": list(found.adapters),
        "seeds": found.seeds,
        "domains": _domains(found, about),
        "groups": {name: {"ceiling": _ceiling(rows, name)} for name in GROUPS},
        "predictors": [
            {
                "name": predictor.name,
                "in_nats": predictor.in_nats,
                "needs": sorted(predictor.needs),
                "cost": _cost(predictor.needs, spent),
            }
            for predictor in entered
        ],
        "not_measured": [each.name for each in PREDICTORS if not each.needs <= available],
        "weights": {},
        "points": [
            _point(row, [each[predictor.name] for predictor in entered])
            for row, each in zip(rows, figures, strict=True)
        ],
        "forms": forms(found),
        "coverage": coverage(found, nine),
        "right": right_answers(found),
        "norms": norms_judged(found, by_sum, of_weights),
        "signs": signs_judged(found.ways),
        "merged": merged_pairs(found, by_sum),
        "passes": [passes(adapters) for adapters in range(2, 9)],
        "measured_with": about["measured_with"],
    }
    return judged_anew(record)


def passes(adapters: int) -> dict[str, int]:
    """Forward passes a row of one domain: a gradient is two passes.

    forecast: the design of lambda space. one: the naive sum of all beside the own adapter. own:
    every sum that holds the own adapter. every: all subsets.
    """
    return {
        "adapters": adapters,
        "forecast": 2 * adapters + 2,
        "one": 2,
        "own": 2 ** (adapters - 1),
        "every": 2**adapters,
    }


def _ceiling(rows: list[Measured], group: str) -> float | None:
    those = [row for row in rows if GROUPS[group](row.point)]
    return ceiling(Points(those)) if those else None


def _domains(found: Measurements, about: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each domain's rows, and its test loss without adapters and with its own, of each seed."""
    said: dict[str, dict[str, Any]] = {}
    for name in found.domains:
        test = [found[Part(seed, name, "test")] for seed in found.seeds]
        said[name] = {
            "base": round(float(test[0].loss[test[0].at(np.zeros(len(found.adapters)))]), 5),
            "own": [round(float(each.loss[each.at(found.alone(name))]), 5) for each in test],
            "rows": about["rows"][name],
        }
    return said


def _costs(
    found: Measurements, lengths: Mapping[str, int], seen: Mapping[tuple[int, str], Seen]
) -> dict[str, dict[str, float]]:
    """Tokens times passes of each part, and seconds at the pace of values, for one domain.

    The mean over domains and seeds. Sums: those that are asked on the test rows.
    """
    adapters = len(found.adapters)
    spent: dict[str, list[tuple[float, float]]] = {}
    for seed in found.seeds:
        for name in found.domains:
            values, test = (found[Part(seed, name, part)] for part in ("evaluated", "test"))
            asked = len([point for point in test.points if np.isin(point, (0, 1)).all()]) - 1
            pace = float(values.seconds) / len(values.points)
            each = {
                "slope": 2,
                "slopes": 2 * (adapters - 1),
                "values": 2,
                "pairs": adapters,
                "sums": asked,
            }
            if (seed, name) in seen:
                merges = seen[seed, name].merges.values()
                each |= {"inner": 2, "merges": sum(len(sample.points) for sample in merges)}
            for part, count in each.items():
                spent.setdefault(part, []).append((count * lengths[name], count * pace))
    return {
        part: dict(zip(("tokens", "seconds"), np.mean(costs, axis=0).tolist(), strict=True))
        for part, costs in spent.items()
    }


def _cost(needs: frozenset[str], spent: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {
        "tokens": round(sum(spent[part]["tokens"] for part in needs)),
        "seconds": round(sum(spent[part]["seconds"] for part in needs), 1),
    }


def _point(row: Measured, figures: list[float]) -> list[Any]:
    where = [row.point.condition, row.point.seed, "+".join(row.point.domains), row.domain]
    numbers = [float(f"{x:.5g}") if np.isfinite(x) else None for x in figures]
    return [*where, round(row.interference, 6), numbers]
