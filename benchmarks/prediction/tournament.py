"""The tournament: every predictor against every measured interference, with the controls.

Reads what lies in the folder, so it can be asked before everything is measured; what is missing
is then missing from the record too, and its counts say so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.prediction.again import judged_anew
from benchmarks.prediction.calibration_file import Cost
from benchmarks.prediction.field import Field
from benchmarks.prediction.judging import GROUPS
from benchmarks.prediction.measured import Losses, losses
from benchmarks.prediction.page import write_pages
from benchmarks.prediction.points import Point
from benchmarks.prediction.predict import Predicted, costs, predicted
from benchmarks.prediction.relation import Points, ceiling
from benchmarks.prediction.weighed import weighed
from benchmarks.prediction.workers import Jobs
from benchmarks.result import RESULTS, stamp, write_record
from superpose.errors import BadInput
from superpose.landscape.predictors import PREDICTORS

__all__ = ["RECORD", "again", "count", "counted", "play", "record", "write"]

RECORD = RESULTS / "prediction.json"


def play(field: Field, jobs: Jobs = 1) -> None:
    """Judge what lies in the folder, write the record and the page; jobs are of no use here.

    Raises BadInput where nothing was measured.
    """
    write_record(RECORD, record(field))
    write(field)


def again(field: Field, jobs: Jobs = 1) -> None:
    """Judge the record that lies here by its own points, and write it and the page.

    Raises BadInput where there is none.
    """
    write_record(RECORD, judged_anew(_recorded()))
    write(field)


def count(field: Field, jobs: Jobs = 1) -> None:
    """Put into the record that lies here what `counted` says of the question sets, and the page.

    Raises BadInput where there is no record.
    """
    known = _recorded()
    for name, domain in known["domains"].items():
        domain["rows"] = counted(field, name)
    write_record(RECORD, known)
    write(field)


def write(field: Field, jobs: Jobs = 1) -> None:
    """Write the page from the record that lies here. Raises BadInput where none does."""
    write_pages(_recorded())


def _recorded() -> dict[str, Any]:
    if not RECORD.exists():
        raise BadInput("nothing was judged yet", hint="Run: python -m benchmarks.prediction judge")
    return dict(json.loads(RECORD.read_text(encoding="utf-8")))


def record(field: Field) -> dict[str, Any]:
    """Give everything the page is made of. Raises BadInput where no sum was measured yet."""
    found = list(predicted(field))
    if not found:
        raise BadInput(
            "no sum was measured yet",
            where=field.folder.path,
            hint="Run: python -m benchmarks.prediction measure",
        )
    spent = costs(field)
    measured = {
        "tournament": field.tournament.to_json(),
        "seeds": list(field.tournament.seeds),
        "domains": _domains(field, losses(field.folder.path)),
        "groups": {name: {"ceiling": _ceiling(found, name)} for name in GROUPS},
        "predictors": [
            {
                "name": predictor.name,
                "in_nats": predictor.in_nats,
                "needs": sorted(predictor.needs),
                "cost": _cost(predictor.needs, spent),
            }
            for predictor in PREDICTORS
        ],
        "weights": weighed(field.folder.path),
        "points": [_point(each) for each in found],
        "measured_with": stamp(),
    }
    return judged_anew(measured)


def _ceiling(found: Sequence[Predicted], group: str) -> float | None:
    rows = [each.row for each in found if GROUPS[group](each.row.point)]
    return ceiling(Points(rows)) if rows else None


def _domains(field: Field, found: Losses) -> dict[str, dict[str, Any]]:
    """Each domain's rows, and its test loss under base and single adapters of the first seed."""
    first = field.tournament.seeds[0]

    def loss(point: Point, name: str) -> float | None:
        return round(found[point][name].nll, 5) if point in found else None

    return {
        name: {"base": loss(Point("base", first, tuple(field.names)), name)}
        | {kind: loss(Point(kind, first, (name,)), name) for kind in _SINGLES}
        | {"rows": counted(field, name)}
        for name in field.names
    }


def counted(field: Field, domain: str) -> dict[str, dict[str, int]]:
    """Rows of calibration and test, the answer tokens that are scored, and how many are cut."""
    held = {part: field.examples(domain, part) for part in ("calibration", "test")}
    return {
        part: {
            "rows": len(examples),
            "tokens": sum(len(each.answer) for each in examples),
            "cut": sum(each.cut for each in examples),
        }
        for part, examples in held.items()
    }


_SINGLES = ("main", "same-a", "calibration")


def _cost(needs: frozenset[str], spent: Mapping[str, Cost]) -> dict[str, float] | None:
    """Tokens times passes, and seconds, for one domain; None where it was not measured."""
    if not needs <= spent.keys():
        return None
    return {
        "tokens": sum(spent[part].tokens for part in needs),
        "seconds": round(sum(spent[part].seconds for part in needs), 1),
    }


def _point(each: Predicted) -> list[Any]:
    """Condition, seed, domains, the measured one, its interference; figures in their order."""
    row = each.row
    figures = [_number(each.figures[predictor.name]) for predictor in PREDICTORS]
    where = [row.point.condition, row.point.seed, "+".join(row.point.domains), row.domain]
    return [*where, round(row.interference, 6), figures]


def _number(x: float) -> float | None:
    return float(f"{x:.5g}") if np.isfinite(x) else None
