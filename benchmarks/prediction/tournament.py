"""The tournament: every predictor against every measured interference, with the controls.

Reads what lies in the folder, so it can be asked before everything is measured; what is missing
is then missing from the record too, and its counts say so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.prediction.calibration_file import Cost
from benchmarks.prediction.field import Field
from benchmarks.prediction.measured import Losses, losses
from benchmarks.prediction.page import write_pages
from benchmarks.prediction.points import Point
from benchmarks.prediction.predict import Predicted, costs, predicted
from benchmarks.prediction.relation import Points, ceiling, relation
from benchmarks.prediction.weighed import weighed
from benchmarks.result import RESULTS, stamp
from superpose.errors import BadInput
from superpose.files import new_file
from superpose.landscape.predictors import PREDICTORS

__all__ = ["GROUPS", "RECORD", "play", "record", "write"]

RECORD = RESULTS / "prediction.json"

GROUPS: Mapping[str, Callable[[Point], bool]] = {
    "all": lambda point: point.condition == "main",
    "pairs": lambda point: point.condition == "main" and len(point.domains) == 2,
    "same-a": lambda point: point.condition == "same-a",
    "random": lambda point: point.condition == "random",
    "calibration": lambda point: point.condition == "calibration",
}
"""Points that are judged together: all main ones, their pairs, and each control."""


def play(field: Field, jobs: int = 1) -> None:
    """Judge what lies in the folder, write the record and the page; jobs are of no use here.

    Raises BadInput where nothing was measured.
    """
    text = json.dumps(record(field), indent=1, allow_nan=False, ensure_ascii=False)
    with new_file(RECORD) as beside:
        beside.write_text(text + "\n", encoding="utf-8")
    write(field)


def write(field: Field, jobs: int = 1) -> None:
    """Write the page from the record that lies here. Raises BadInput where none does."""
    if not RECORD.exists():
        raise BadInput("nothing was judged yet", hint="Run: python -m benchmarks.prediction judge")
    write_pages(json.loads(RECORD.read_text(encoding="utf-8")))


def record(field: Field) -> dict[str, Any]:
    """Give everything the page is made of. Raises BadInput where no sum was measured yet."""
    found = list(predicted(field))
    if not found:
        raise BadInput(
            "no sum was measured yet",
            where=field.folder.path,
            hint="Run: python -m benchmarks.prediction measure",
        )
    groups = {
        name: [each for each in found if belongs(each.row.point)]
        for name, belongs in GROUPS.items()
    }
    spent = costs(field)
    return {
        "tournament": field.tournament.to_json(),
        "seeds": list(field.tournament.seeds),
        "domains": _domains(field, losses(field.folder.path)),
        "groups": {name: _group(each) for name, each in groups.items()},
        "predictors": [
            {
                "name": predictor.name,
                "in_nats": predictor.in_nats,
                "needs": sorted(predictor.needs),
                "cost": _cost(predictor.needs, spent),
                "groups": {
                    name: _judged(each, predictor.name, predictor.in_nats)
                    for name, each in groups.items()
                },
            }
            for predictor in PREDICTORS
        ],
        "parts": _parts(groups["all"]),
        "weights": weighed(field.folder.path),
        "points": [_point(each) for each in found],
        "measured_with": stamp(),
    }


def _parts(found: Sequence[Predicted]) -> dict[str, Any]:
    """What is measured, and how lambda space fares, within one size, seed and domain."""
    parts: dict[str, list[Predicted]] = {}
    for each in found:
        point = each.row.point
        for part in (f"{len(point.domains)} adapters", f"seed {point.seed}", each.row.domain):
            parts.setdefault(part, []).append(each)
    order = sorted(parts, key=lambda p: (not p[0].isdigit(), not p.startswith("seed "), p))
    judged = {part: _judged(parts[part], "lambda space", True) for part in order}
    return {part: [_group(parts[part]), each] for part, each in judged.items() if each}


def _judged(found: Sequence[Predicted], name: str, in_nats: bool) -> dict[str, Any] | None:
    figures = np.array([each.figures[name] for each in found], dtype=np.float64)
    if not np.isfinite(figures).any():
        return None
    return relation(Points([each.row for each in found]), figures, in_nats=in_nats)


def _group(found: Sequence[Predicted]) -> dict[str, Any] | None:
    """What was measured in a group, whatever is predicted."""
    if not found:
        return None
    points = Points([each.row for each in found])
    values, most = points.interference, ceiling(points)
    return {
        "n": len(values),
        "sums": len({row.point for row in points.rows}),
        "mean": round(float(values.mean()), 5),
        "spread": round(float(values.std()), 5),
        "least": round(float(values.min()), 5),
        "most": round(float(values.max()), 5),
        "harmed": round(float((values > 0).mean()), 4),
        "ceiling": None if most is None else round(most, 4),
    }


def _domains(field: Field, found: Losses) -> dict[str, dict[str, float | None]]:
    """Each domain's test loss under the base and under single adapters, of the first seed."""
    first = field.tournament.seeds[0]

    def loss(point: Point, name: str) -> float | None:
        return round(found[point][name].nll, 5) if point in found else None

    return {
        name: {"base": loss(Point("base", first, tuple(field.names)), name)}
        | {kind: loss(Point(kind, first, (name,)), name) for kind in _SINGLES}
        for name in field.names
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
