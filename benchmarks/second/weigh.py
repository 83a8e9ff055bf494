"""Weigh: the same sums under every way of weighing them, and what training in their place gives.

Weights and training come from calibration and training rows alone, losses from the first test rows.
One file a method and sum, so weighing goes on where it was stopped.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmarks.prediction.adapters import trained
from benchmarks.prediction.calibration_file import digits
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import work_off
from benchmarks.second.plan import sums
from superpose.adapter import Adapter
from superpose.data.prompt import Example
from superpose.formats import load
from superpose.measure.evaluate import score
from superpose.measure.finer import By, finer_weights
from superpose.measure.lambda_space import forecast
from superpose.measure.tune import tune
from superpose.model import SuperposedModel
from superpose.studies.cells import cell_seed
from superpose.training.train import train

__all__ = ["METHODS", "Weighed", "weigh_missing", "weigher", "weighings"]

METHODS = (
    "own", "naive", "average", "merged-epochs", "merged-steps", "tuned", "fine-tuned", "by-layer",
    "by-module",
)  # fmt: skip
"""Each domain's own adapter alone; equal weights of 1 and of 1/K; one adapter trained on all rows,
for as many epochs or steps as one of the parents; `tune`'s weights; the sum, and beside it an
adapter trained on the same calibration rows; and `tune --by`'s."""

CALIBRATION, TEST = 64, 96
"""Rows a domain, the first ones of the parts that the tournament has."""

BY: Mapping[str, By] = {"by-layer": "layer", "by-module": "module"}
SIZES = {2: 2, 3: 2}
"""Sums of each size, drawn by the seed."""


@dataclass(frozen=True)
class Weighed:
    """One method on the sum of `domains`."""

    method: str
    seed: int
    domains: tuple[str, ...]

    @property
    def name(self) -> str:
        """Such as `tuned, seed 0: music+world`."""
        return f"{self.method}, seed {self.seed}: {'+'.join(self.domains)}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        return f"weighed/{self.method}/seed-{self.seed}/{'+'.join(self.domains)}.json"


def weighings(field: Field) -> list[Weighed]:
    """All of them, in the order in which they are made: seed by seed, cheap methods first."""
    return [
        Weighed(method, seed, domains)
        for seed in field.tournament.seeds
        for method in METHODS
        for domains in _drawn(field, seed)
    ]


def weigh_missing(field: Field, jobs: int = 1) -> None:
    """Weigh what does not lie in the folder yet; the caller holds the folder's lock."""
    todo = [each for each in weighings(field) if not (field.folder.path / each.file).exists()]
    work_off(field, todo, [_work(each) for each in todo], weigher, jobs)


@contextmanager
def weigher(field: Field) -> Iterator[Callable[[Weighed], None]]:
    """Give the function that weighs one sum by one method."""

    def do(each: Weighed) -> None:
        started = time.perf_counter()
        parents = [trained(field, "main", each.seed, name) for name in each.domains]
        if each.method in TRAINING:
            parents = [*TRAINING[each.method](field, each, parents)]
        with SuperposedModel(field.base.model, parents) as model:
            weights = _weights(field, each, model)
            scores = {}
            for place, name in enumerate(each.domains):
                at = weights[place] if each.method == "own" else weights
                with model.at(torch.tensor(at, dtype=torch.float32)) as weighted:
                    scores[name] = score(weighted, field.examples(name, "test")[:TEST])
        found = {
            "method": each.method,
            "seed": each.seed,
            "domains": each.domains,
            "seconds": round(time.perf_counter() - started, 1),
            # Of finer weights the mean alone: hundreds of numbers each that nobody reads.
            "weights": digits(weights.reshape(-1, len(parents)).mean(axis=0), 5),
            "tokens": {name: found.row_tokens for name, found in scores.items()},
            "nll": {name: digits(np.array(s.row_nll), 7) for name, s in scores.items()},
        }
        field.folder.write(each.file, found)

    yield do


def _weights(field: Field, each: Weighed, model: SuperposedModel) -> np.ndarray:
    """Give task weights: (K,), (domains, K) of own adapters, or (1, M, K) finer ones."""
    count = len(model.adapters)
    if each.method == "own":
        return np.eye(count)
    if each.method == "average":
        return np.full(count, 1 / count)
    if each.method != "tuned" and each.method not in BY:
        return np.ones(count)
    rows = calibration_rows(field, each.domains)
    calibrated = forecast(model, each.domains, rows)
    tuned = tune(model, rows, calibrated).best.weights
    if each.method == "tuned":
        return np.array(tuned)
    own = [s.nll[s.at(calibrated.own(i))] for i, s in enumerate(calibrated.samples)]
    finer = finer_weights(model, each.domains, rows, tuned, own, by=BY[each.method])
    return np.array([[[finer.weights[name][m] for name in each.domains] for m in model.modules]])


def calibration_rows(field: Field, domains: Sequence[str]) -> dict[str, list[Example]]:
    """Give the rows that weights are fitted to, by domain."""
    return {name: field.examples(name, "calibration")[:CALIBRATION] for name in domains}


def _merged(field: Field, each: Weighed, parents: Sequence[Adapter]) -> list[Adapter]:
    """One adapter trained on all members' training rows, mixed by the Trainer."""
    rows = [row for name in each.domains for row in field.examples(name, "train")]
    epochs = field.tournament.training.epochs
    if each.method == "merged-steps":
        epochs /= len(each.domains)
    return [_trained(field, each, rows, epochs)]


def _fine_tuned(field: Field, each: Weighed, parents: Sequence[Adapter]) -> list[Adapter]:
    """The parents, and one trained on the calibration rows while their sum is at work."""
    rows = [row for many in calibration_rows(field, each.domains).values() for row in many]
    with SuperposedModel(field.base.model, parents) as model, model.at([1.0] * len(parents)):
        more = _trained(field, each, rows, field.tournament.training.epochs)
    return [*parents, more]


def _trained(field: Field, each: Weighed, rows: Sequence[Example], epochs: float) -> Adapter:
    """Train and read an adapter, or read the one that lies here."""
    out = field.folder.path / "adapters" / each.method / f"seed-{each.seed}"
    out /= "+".join(each.domains)
    if not out.is_dir():
        train(
            field.base,
            rows,
            out,
            lora=field.tournament.lora,
            training=replace(field.tournament.training, epochs=epochs),
            seed=cell_seed(each.seed, each.name),
        )
    return replace(load(out), name=each.method)


TRAINING: Mapping[str, Callable[[Field, Weighed, Sequence[Adapter]], Any]] = {
    "merged-epochs": _merged,
    "merged-steps": _merged,
    "fine-tuned": _fine_tuned,
}


def _drawn(field: Field, seed: int) -> list[tuple[str, ...]]:
    draw = random.Random(f"weighed {seed}")
    every = sums(field, seed)
    return [
        chosen
        for size, count in SIZES.items()
        for chosen in draw.sample([each for each in every if len(each) == size], count)
    ]


def _work(each: Weighed) -> float:
    cost = {"merged-epochs": 4.0, "merged-steps": 3.0, "tuned": 10.0, "fine-tuned": 3.0}
    return len(each.domains) * cost.get(each.method, 30.0 if each.method in BY else 1.0)
