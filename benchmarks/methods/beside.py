"""What stands beside the merge methods: own adapters, tuned weights, and training in their place.

Weights and training come from calibration and training rows alone, losses from the same test rows.
One file a way and sum, so this goes on where it was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.sums import drawn_sums, first_rows
from benchmarks.prediction.adapters import trained, trained_there
from benchmarks.prediction.calibration_file import digits
from benchmarks.prediction.field import Field
from benchmarks.prediction.partners import random_partner
from benchmarks.prediction.workers import Jobs, work_off
from superpose.adapter import Adapter
from superpose.data.prompt import Example
from superpose.measure.evaluate import score
from superpose.measure.finer import By, finer_weights
from superpose.measure.lambda_space import forecast
from superpose.measure.tune import tune
from superpose.model import SuperposedModel
from superpose.studies.cells import cell_seed

__all__ = ["NAIVE", "WAYS", "Beside", "besides", "doer", "scored", "stand_missing"]

NAIVE = "naive"
"""The plain sum of the adapters, each at task weight 1."""

WAYS = (
    "own", NAIVE, "averaged", "random", "tuned", "by-layer", "by-module", "merged-epochs",
    "merged-steps", "calibration", "fine-tuned",
)  # fmt: skip
"""Each domain's own adapter alone; all at weight 1, and at 1/K; the own one beside random partners
of the others' norms; `tune`'s weights; adapters trained in their place: on all rows for as many
epochs or steps as one of the parents, on the calibration rows alone, and on these while the
parents' sum is at work."""

Array: TypeAlias = NDArray[np.float64]

BY: Mapping[str, By] = {"by-layer": "layer", "by-module": "module"}


@dataclass(frozen=True)
class Beside:
    """One way on the sum of `domains`."""

    way: str
    seed: int
    domains: tuple[str, ...]

    @property
    def name(self) -> str:
        """Such as `tuned, seed 0: music+world`."""
        return f"{self.way}, seed {self.seed}: {'+'.join(self.domains)}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        return f"beside/{self.way}/seed-{self.seed}/{'+'.join(self.domains)}.json"


def besides(field: Field) -> list[Beside]:
    """All of them, seed by seed, sum by sum."""
    return [
        Beside(way, seed, domains)
        for seed in field.tournament.seeds
        for domains in drawn_sums(field, seed)
        for way in WAYS
    ]


def stand_missing(field: Field, jobs: Jobs = 1, among: Sequence[Beside] | None = None) -> None:
    """Do what does not lie in the folder yet, of all or `among`; the caller holds its lock."""
    wanted = besides(field) if among is None else among
    todo = [each for each in wanted if not (field.folder.path / each.file).exists()]
    work_off(field, todo, [_work(each) for each in todo], doer, jobs)


@dataclass(frozen=True)
class _Fitted:
    """What `tune` finds on a sum's calibration rows, which finer weights begin with.

    tuned: (K,). own: each own adapter's nats, by row. seconds: what it took.
    """

    tuned: Array
    own: list[Array]
    seconds: float


@contextmanager
def doer(field: Field) -> Iterator[Callable[[Beside], None]]:
    """Give the function that does one; a sum's weights are tuned once for its ways in a row."""
    at_hand: dict[tuple[int, tuple[str, ...]], _Fitted] = {}

    def fitted(each: Beside, model: SuperposedModel) -> _Fitted:
        key = each.seed, each.domains
        if key not in at_hand:
            at_hand.clear()
            at_hand[key] = _fitted(field, each, model)
        return at_hand[key]

    def do(each: Beside) -> None:
        started = time.perf_counter()
        parents = [trained(field, "main", each.seed, name) for name in each.domains]
        adapters = ADAPTERS.get(each.way, _parents)(field, each, parents)
        earlier = at_hand.get((each.seed, each.domains)) if each.way in BY else None
        with SuperposedModel(field.base.model, adapters) as model:
            weights = _weights(field, each, model, partial(fitted, each, model))
        every = weights if each.way in OWN else [weights] * len(each.domains)
        tested = scored(field, each.domains, adapters, every)
        seconds = time.perf_counter() - started + (earlier.seconds if earlier else 0)
        found = {
            "way": each.way,
            "seed": each.seed,
            "domains": each.domains,
            "seconds": round(seconds, 1),
            # Of finer weights the mean alone: hundreds of numbers each that nobody reads.
            "weights": digits(weights.reshape(-1, len(adapters)).mean(axis=0), 5),
            **tested,
        }
        field.folder.write(each.file, found)

    yield do


def _fitted(field: Field, each: Beside, model: SuperposedModel) -> _Fitted:
    started = time.perf_counter()
    rows = first_rows(field, each.domains, "calibration")
    calibrated = forecast(model, each.domains, rows)
    tuned = np.array(tune(model, rows, calibrated).best.weights)
    own = [s.nll[s.at(calibrated.own(i))] for i, s in enumerate(calibrated.samples)]
    return _Fitted(tuned, own, time.perf_counter() - started)


def scored(
    field: Field,
    domains: Sequence[str],
    adapters: Sequence[Adapter],
    weights: Sequence[Array] | Array,
) -> dict[str, Any]:
    """Give what is written of test losses: by domain each row's nats, and its answer's tokens.

    weights: for each domain, as `SuperposedModel.at` takes them.
    """
    scores = {}
    with SuperposedModel(field.base.model, adapters) as model:
        tested = first_rows(field, domains, "test")
        for at, (name, rows) in zip(weights, tested.items(), strict=True):
            with model.at(torch.tensor(at, dtype=torch.float32)) as weighted:
                scores[name] = score(weighted, rows)
    return {
        "tokens": {name: found.row_tokens for name, found in scores.items()},
        "nll": {name: digits(np.array(s.row_nll), 7) for name, s in scores.items()},
    }


def _weights(
    field: Field, each: Beside, model: SuperposedModel, fitted: Callable[[], _Fitted]
) -> Array:
    """Give task weights: (K,), (domains, K) for each domain, or (1, M, K) finer ones."""
    count, domains = len(model.adapters), len(each.domains)
    if each.way == "own":
        return np.eye(count)
    if each.way == "random":
        # Behind the parents stand their random partners.
        return np.hstack([np.eye(domains), 1 - np.eye(domains)])
    if each.way == "averaged":
        return np.full(count, 1 / count)
    if each.way != "tuned" and each.way not in BY:
        return np.ones(count)
    start = fitted()
    if each.way == "tuned":
        return start.tuned
    rows = first_rows(field, each.domains, "calibration")
    finer = finer_weights(
        model, each.domains, rows, start.tuned.tolist(), start.own, by=BY[each.way]
    )
    return np.array([[[finer.weights[name][m] for name in each.domains] for m in model.modules]])


def _parents(field: Field, each: Beside, parents: Sequence[Adapter]) -> Sequence[Adapter]:
    return parents


def _with_random(field: Field, each: Beside, parents: Sequence[Adapter]) -> Sequence[Adapter]:
    return [*parents, *(random_partner(parent, each.seed) for parent in parents)]


def _merged(field: Field, each: Beside, parents: Sequence[Adapter]) -> Sequence[Adapter]:
    """One adapter trained on all members' training rows, mixed by the Trainer."""
    rows = [row for name in each.domains for row in field.examples(name, "train")]
    epochs = field.tournament.training.epochs
    if each.way == "merged-steps":
        epochs /= len(each.domains)
    return [_trained(field, each, rows, epochs)]


def _on_calibration(field: Field, each: Beside, parents: Sequence[Adapter]) -> Sequence[Adapter]:
    """One adapter trained on the calibration rows alone."""
    return [_trained(field, each, _calibration(field, each), field.tournament.training.epochs)]


def _fine_tuned(field: Field, each: Beside, parents: Sequence[Adapter]) -> Sequence[Adapter]:
    """The parents, and one trained on the calibration rows while their sum is at work."""
    with SuperposedModel(field.base.model, parents) as model, model.at([1.0] * len(parents)):
        return [*parents, *_on_calibration(field, each, parents)]


def _calibration(field: Field, each: Beside) -> list[Example]:
    found = first_rows(field, each.domains, "calibration")
    return [row for rows in found.values() for row in rows]


def _trained(field: Field, each: Beside, rows: Sequence[Example], epochs: float) -> Adapter:
    """Train and read an adapter, or read the one that lies here."""
    return trained_there(
        field,
        f"adapters/{each.way}/seed-{each.seed}/{'+'.join(each.domains)}",
        rows,
        name=each.way,
        training=replace(field.tournament.training, epochs=epochs),
        seed=cell_seed(each.seed, each.name),
    )


ADAPTERS: Mapping[str, Callable[[Field, Beside, Sequence[Adapter]], Sequence[Adapter]]] = {
    "random": _with_random,
    "merged-epochs": _merged,
    "merged-steps": _merged,
    "calibration": _on_calibration,
    "fine-tuned": _fine_tuned,
}

OWN = ("own", "random")
"""Ways with other weights for each domain."""


def _work(each: Beside) -> float:
    cost = {"merged-epochs": 8.0, "merged-steps": 8.0 / len(each.domains), "tuned": 10.0}
    return len(each.domains) * cost.get(each.way, 25.0 if each.way in BY else 1.5)
