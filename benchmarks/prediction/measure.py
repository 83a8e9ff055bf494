"""Measure every point: the loss of each member domain's test rows under the sum.

A finished point is one JSON file, so measuring goes on where it was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks.prediction.adapters import trained
from benchmarks.prediction.field import Field
from benchmarks.prediction.partners import random_partner
from benchmarks.prediction.points import Point, points
from benchmarks.prediction.workers import Jobs, work_off
from superpose.adapter import Adapter
from superpose.measure.evaluate import Score, score
from superpose.model import SuperposedModel

__all__ = ["content", "measure_missing", "measurer"]

_PARTNERS = {"base": (), "main": ("main",), "random": ("main", "random")}
"""Kinds of adapters that a condition's model holds, where it is not the condition's own."""


def measure_missing(field: Field, jobs: Jobs = 1) -> None:
    """Measure what does not lie in the folder yet; the caller holds the folder's lock.

    Raises BadInput where an adapter that is needed was not trained yet.
    """
    wanted = points(field.names, field.tournament)
    todo = [point for point in wanted if not (field.folder.path / point.file).exists()]
    work_off(field, todo, [_tokens(field, point) for point in todo], measurer, jobs)


@contextmanager
def measurer(field: Field) -> Iterator[Callable[[Point], None]]:
    """Give the function that measures one point."""
    bench = _Bench(field)
    try:
        yield bench.measure
    finally:
        bench.clear()


class _Bench:
    """Holds one superposed model for the points of a condition and seed that come in a row."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.holds: tuple[str, int] | None = None
        self.adapters: dict[tuple[str, str], Adapter] = {}
        self.model: SuperposedModel | None = None

    def measure(self, point: Point) -> None:
        """Score the point's sum on each of its domains and write the point's file."""
        model = self._model(point)
        started = time.perf_counter()
        scores = {}
        for domain in point.domains:
            parts = _parts(point, domain)
            with model.at([float(key in parts) for key in self.adapters]) as weighted:
                scores[domain] = score(weighted, self.field.examples(domain, "test"))
        seconds = time.perf_counter() - started
        found = content(point.condition, point.seed, point.domains, scores, seconds)
        self.field.folder.write(point.file, found)

    def clear(self) -> None:
        """Give the base back as it was."""
        if self.model is not None:
            self.model.remove()
        self.model = self.holds = None

    def _model(self, point: Point) -> SuperposedModel:
        wanted = point.condition, point.seed
        if self.model is None or self.holds != wanted:
            self.clear()
            self.adapters = _adapters(self.field, *wanted)
            self.model = SuperposedModel(self.field.base.model, list(self.adapters.values()))
            self.holds = wanted
        return self.model


def _adapters(field: Field, condition: str, seed: int) -> dict[tuple[str, str], Adapter]:
    """(kind, domain) -> adapter, for all that the condition's points are made of."""
    found = {}
    for kind in _PARTNERS.get(condition, (condition,)):
        for domain in field.names:
            own = trained(field, "main" if kind == "random" else kind, seed, domain)
            found[kind, domain] = random_partner(own, seed) if kind == "random" else own
    return found


def _parts(point: Point, domain: str) -> list[tuple[str, str]]:
    """The adapters whose sum is measured on one of the point's domains."""
    if point.condition == "base":
        return []
    if point.condition != "random":
        return [(point.condition, member) for member in point.domains]
    others = [member for member in point.domains if member != domain]
    return [("main", domain), *(("random", member) for member in others)]


def _tokens(field: Field, point: Point) -> int:
    return sum(row.length for name in point.domains for row in field.examples(name, "test"))


def content(
    condition: str, seed: int, domains: Sequence[str], scores: Mapping[str, Score], seconds: float
) -> dict[str, object]:
    """Give what is written of one measurement: every row's loss under the sum, by domain."""
    return {
        "condition": condition,
        "seed": seed,
        "domains": domains,
        "seconds": round(seconds, 2),
        "scores": {
            domain: {
                "row_nll": [round(nll, 6) for nll in found.row_nll],
                "row_tokens": found.row_tokens,
            }
            for domain, found in scores.items()
        },
    }
