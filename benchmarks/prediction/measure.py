"""Measure every point: the loss of each member domain's test rows under the sum.

A finished point is one JSON file, so measuring goes on where it was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from benchmarks.prediction.adapters import Training
from benchmarks.prediction.field import Field
from benchmarks.prediction.pace import Pace
from benchmarks.prediction.partners import random_partner
from benchmarks.prediction.points import Point, points
from superpose.adapter import Adapter
from superpose.errors import BadInput
from superpose.formats import load
from superpose.landscape import SuperposedModel
from superpose.study.evaluate import Score, score

__all__ = ["measure_missing"]

_PARTNERS = {"base": (), "main": ("main",), "random": ("main", "random")}
"""Kinds of adapters that a condition's model holds, where it is not the condition's own."""


def measure_missing(field: Field) -> None:
    """Measure what does not lie in the folder yet; the caller holds the folder's lock.

    Raises BadInput where an adapter that is needed was not trained yet.
    """
    wanted = points(field.names, field.tournament)
    todo = [point for point in wanted if not (field.folder.path / point.file).exists()]
    pace = Pace([_tokens(field, point) for point in todo])
    for (condition, seed), group in groupby(todo, lambda point: (point.condition, point.seed)):
        _measure_group(field, condition, seed, list(group), pace)


def _measure_group(
    field: Field, condition: str, seed: int, group: Sequence[Point], pace: Pace
) -> None:
    """Points that are one superposed model at different task weights."""
    adapters = _adapters(field, condition, seed)
    with SuperposedModel(field.base.model, list(adapters.values())) as model:
        for point in group:
            started = time.perf_counter()
            scores = {
                domain: _score(field, model, adapters, _parts(point, domain), domain)
                for domain in point.domains
            }
            seconds = time.perf_counter() - started
            field.folder.write(point.file, _content(point, scores, seconds))
            pace.done(f"measured {point.name}", seconds)


def _adapters(field: Field, condition: str, seed: int) -> dict[tuple[str, str], Adapter]:
    """(kind, domain) -> adapter, for all that the condition's points are made of."""
    found = {}
    for kind in _PARTNERS.get(condition, (condition,)):
        for domain in field.names:
            trained = _trained(field, "main" if kind == "random" else kind, seed, domain)
            found[kind, domain] = random_partner(trained, seed) if kind == "random" else trained
    return found


def _trained(field: Field, condition: str, seed: int, domain: str) -> Adapter:
    path = field.folder.path / Training(condition, seed, domain).path
    if not path.is_dir():
        raise BadInput(
            "this adapter is not trained yet",
            where=path,
            hint="Run: python -m benchmarks.prediction train",
        )
    return replace(load(path), name=domain)


def _parts(point: Point, domain: str) -> list[tuple[str, str]]:
    """The adapters whose sum is measured on one of the point's domains."""
    if point.condition == "base":
        return []
    if point.condition != "random":
        return [(point.condition, member) for member in point.domains]
    others = [member for member in point.domains if member != domain]
    return [("main", domain), *(("random", member) for member in others)]


def _score(
    field: Field,
    model: SuperposedModel,
    adapters: Mapping[tuple[str, str], Adapter],
    parts: Sequence[tuple[str, str]],
    domain: str,
) -> Score:
    with model.at([float(key in parts) for key in adapters]) as weighted:
        return score(weighted, field.examples(domain, "test"))


def _tokens(field: Field, point: Point) -> int:
    return sum(row.length for name in point.domains for row in field.examples(name, "test"))


def _content(point: Point, scores: Mapping[str, Score], seconds: float) -> dict[str, object]:
    return {
        "condition": point.condition,
        "seed": point.seed,
        "domains": point.domains,
        "seconds": round(seconds, 2),
        "scores": {
            domain: {
                "row_nll": [round(nll, 6) for nll in found.row_nll],
                "row_tokens": found.row_tokens,
            }
            for domain, found in scores.items()
        },
    }
