"""The sign of dPPL: one pair, single and merged adapters alike trained longer and faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from benchmarks.prediction.adapters import trained_there
from benchmarks.prediction.calibration_file import digits
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs, work_off
from superpose.adapter import Adapter
from superpose.data.prompt import Example
from superpose.measure.calibrate import measure
from superpose.model import SuperposedModel
from superpose.studies.cells import cell_seed

__all__ = ["EPOCHS", "PAIR", "RATES", "Sign", "sign_missing", "signer", "signs"]

PAIR = ("television", "world")
RATES = (3e-4, 1e-3)
EPOCHS = (1, 3)


@dataclass(frozen=True)
class Sign:
    """The pair's adapters and those on merged data, at one learning rate for so many epochs."""

    rate: float
    epochs: int
    pair: tuple[str, str] = PAIR

    @property
    def name(self) -> str:
        """Such as `sign, 0.001 for 3 epochs`."""
        return f"sign, {self.rate:g} for {self.epochs} epochs"

    @property
    def setting(self) -> str:
        """Such as `0.001-3`."""
        return f"{self.rate:g}-{self.epochs}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        return f"signs/{self.setting}.json"


def signs() -> list[Sign]:
    """Every rate with every number of epochs."""
    return [Sign(*each) for each in product(RATES, EPOCHS)]


def sign_missing(field: Field, jobs: Jobs = 1) -> None:
    """Do what does not lie in the folder yet; the caller holds the folder's lock."""
    todo = [each for each in signs() if not (field.folder.path / each.file).exists()]
    work_off(field, todo, [float(each.epochs) for each in todo], signer, jobs)


@contextmanager
def signer(field: Field) -> Iterator[Callable[[Sign], None]]:
    """Give the function that trains and measures one."""

    def do(each: Sign) -> None:
        one, other = (field.examples(name, "train") for name in each.pair)
        merged = [*one, *other]
        adapters = [
            _trained(field, each, each.pair[0], one, each.epochs),
            _trained(field, each, each.pair[1], other, each.epochs),
            _trained(field, each, "merged-epochs", merged, each.epochs),
            _trained(field, each, "merged-steps", merged, each.epochs / 2),
        ]
        points = np.array([[0, 0, 0, 0], *np.eye(4), [1, 1, 0, 0]], dtype=np.float64)
        found = {}
        with SuperposedModel(field.base.model, adapters) as model:
            for name in each.pair:
                rows = field.examples(name, "test")
                sample = measure(model, rows, list(points), gradients=False)
                found[name] = {"tokens": sample.tokens.tolist(), "nll": digits(sample.nll, 7)}
        ways = ("base", *each.pair, "merged-epochs", "merged-steps", "sum")
        about = {"rate": each.rate, "epochs": each.epochs, "ways": ways}
        field.folder.write(each.file, about | {"domains": found})

    yield do


def _trained(
    field: Field, each: Sign, name: str, rows: Sequence[Example], epochs: float
) -> Adapter:
    """Train and read an adapter, or read the one that lies here."""
    return trained_there(
        field,
        f"adapters/signs/{each.setting}/{name}",
        rows,
        name=name,
        training=replace(field.tournament.training, epochs=epochs, learning_rate=each.rate),
        seed=cell_seed(field.tournament.seeds[0], name),
    )
