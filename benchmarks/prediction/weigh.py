"""Weigh: measure what the average and tuned task weights of a sum do, beside the naive sum.

The weights come from calibration rows alone, the losses from the same test rows as those of the
naive sums. One file a method and sum, so weighing goes on where it was stopped.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from benchmarks.prediction.adapters import trained
from benchmarks.prediction.calibrate import Calibrating
from benchmarks.prediction.calibration_file import read_calibration
from benchmarks.prediction.field import Field
from benchmarks.prediction.measure import content
from benchmarks.prediction.points import points
from benchmarks.prediction.workers import Jobs, work_off
from superpose.errors import BadInput
from superpose.landscape.best_weights import best_weights
from superpose.landscape.polynomial import Polynomial
from superpose.landscape.sample import Sample
from superpose.measure.evaluate import score
from superpose.measure.finer import By, finer_weights
from superpose.model import SuperposedModel

__all__ = ["METHODS", "Weighting", "weigh_missing", "weigher", "weightings"]

METHODS = ("average", "tuned", "by-layer", "by-module")
"""Equal weights 1/K; one tuned weight an adapter; one an adapter and layer, or module."""

BY: dict[str, By] = {"by-layer": "layer", "by-module": "module"}
FINER = 3
"""Sums of each size that finer weights are fitted to: that takes minutes each."""


@dataclass(frozen=True)
class Weighting:
    """One method's weights for the sum of the main adapters of `domains`."""

    method: str
    seed: int
    domains: tuple[str, ...]

    @property
    def name(self) -> str:
        """Such as `weighed tuned, seed 0: finance+math`."""
        return f"weighed {self.method}, seed {self.seed}: {'+'.join(self.domains)}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        return f"weighted/{self.method}/seed-{self.seed}/{'+'.join(self.domains)}.json"


def weightings(field: Field) -> list[Weighting]:
    """All of them, in the order in which they are made: the first seed's sums, cheap ones first."""
    first = field.tournament.seeds[0]
    sums = [
        point.domains
        for point in points(field.names, field.tournament)
        if (point.condition, point.seed) == ("main", first) and len(point.domains) > 1
    ]
    drawn = _drawn(sums)
    return [
        Weighting(method, first, domains)
        for method in METHODS
        for domains in (drawn if method in BY else sums)
    ]


def weigh_missing(field: Field, jobs: Jobs = 1) -> None:
    """Measure what does not lie in the folder yet; the caller holds the folder's lock.

    Raises BadInput where a calibration that is needed was not made yet.
    """
    todo = [each for each in weightings(field) if not (field.folder.path / each.file).exists()]
    work_off(field, todo, [_work(each) for each in todo], weigher, jobs)


@contextmanager
def weigher(field: Field) -> Iterator[Callable[[Weighting], None]]:
    """Give the function that measures one weighting."""

    def weigh(each: Weighting) -> None:
        started = time.perf_counter()
        adapters = [trained(field, "main", each.seed, name) for name in each.domains]
        with SuperposedModel(field.base.model, adapters) as model:
            weights = _weights(field, each, model)
            with model.at(torch.tensor(weights, dtype=torch.float32)) as weighted:
                scores = {
                    name: score(weighted, field.examples(name, "test")) for name in each.domains
                }
        found = content(each.method, each.seed, each.domains, scores, time.perf_counter() - started)
        # Of finer weights the mean alone: hundreds of numbers each that nobody reads.
        means = weights.reshape(-1, len(adapters)).mean(axis=0)
        shown = {name: round(float(w), 5) for name, w in zip(each.domains, means, strict=True)}
        field.folder.write(each.file, found | {"weights": shown})

    yield weigh


def _weights(field: Field, each: Weighting, model: SuperposedModel) -> np.ndarray:
    """Give (K,) task weights, or (1, M, K) finer ones."""
    count = len(each.domains)
    if each.method == "average":
        return np.full(count, 1.0 / count)
    samples = [_sample(field, each, name) for name in each.domains]
    tuned = best_weights([Polynomial.fit(sample) for sample in samples])
    if each.method == "tuned":
        return tuned
    own = [sample.nll[sample.at(np.eye(count)[i])] for i, sample in enumerate(samples)]
    rows = {name: field.examples(name, "calibration") for name in each.domains}
    finer = finer_weights(model, each.domains, rows, tuned.tolist(), own, by=BY[each.method])
    return np.array([[[finer.weights[name][m] for name in each.domains] for m in model.modules]])


def _sample(field: Field, each: Weighting, domain: str) -> Sample:
    """Give what a calibration with these adapters alone would have measured of a domain."""
    made = Calibrating("main", each.seed, domain)
    if not (field.folder.path / made.file).exists():
        raise BadInput(
            f"{domain} is not calibrated yet",
            where=field.folder.path / made.file,
            hint="Run: python -m benchmarks.prediction calibrate",
        )
    calibration = read_calibration(field, made.file, replace(made, scattered=True).file)
    return calibration.sample.among([field.names.index(name) for name in each.domains])


def _drawn(sums: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Draw a few sums of each size, by a seed."""
    draw = random.Random("finer")
    drawn: list[tuple[str, ...]] = []
    for size in sorted({len(domains) for domains in sums}):
        those = [domains for domains in sums if len(domains) == size]
        drawn += draw.sample(those, min(FINER, len(those)))
    return drawn


def _work(each: Weighting) -> float:
    return len(each.domains) * (12.0 if each.method in BY else 1.0)
