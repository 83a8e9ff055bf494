"""Norm-matched adapters: the first seed's pairs, every adapter scaled to one norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from benchmarks.prediction.adapters import trained
from benchmarks.prediction.calibration_file import digits
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs, work_off
from benchmarks.second.adapters import train_seeds
from superpose.measure.calibrate import measure
from superpose.model import SuperposedModel

__all__ = ["Matched", "match_missing", "matcher"]


@dataclass(frozen=True)
class Matched:
    """One domain's test rows under its own adapter and every pair that holds it, scaled."""

    seed: int
    domain: str

    @property
    def name(self) -> str:
        """Such as `norm-matched, seed 0: music`."""
        return f"norm-matched, seed {self.seed}: {self.domain}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        return f"matched/seed-{self.seed}/{self.domain}.json"


def match_missing(field: Field, jobs: Jobs = 1) -> None:
    """Measure what does not lie in the folder yet; the caller holds the folder's lock."""
    train_seeds(field, field.tournament.seeds[:1], jobs)
    every = [Matched(field.tournament.seeds[0], domain) for domain in field.names]
    todo = [each for each in every if not (field.folder.path / each.file).exists()]
    work = [float(sum(r.length for r in field.examples(e.domain, "test"))) for e in todo]
    work_off(field, todo, work, matcher, jobs)


@contextmanager
def matcher(field: Field) -> Iterator[Callable[[Matched], None]]:
    """Give the function that measures one domain."""

    def do(each: Matched) -> None:
        adapters = [trained(field, "main", each.seed, name) for name in field.names]
        norms = np.array([adapter.norm() for adapter in adapters])
        scales = np.exp(np.log(norms).mean()) / norms
        own = np.eye(len(norms))[field.names.index(each.domain)]
        points = scales * np.maximum(own, np.eye(len(norms)))
        with SuperposedModel(field.base.model, adapters) as model:
            rows = field.examples(each.domain, "test")
            sample = measure(model, rows, points, gradients=False)
        field.folder.write(
            each.file,
            {
                "norms": digits(norms, 8),
                "points": digits(points, 8),
                "tokens": sample.tokens.tolist(),
                "nll": digits(sample.nll, 7),
            },
        )

    yield do
