"""Train the tournament's adapters: one a domain and seed, and those of the control conditions.

Every finished adapter is a folder that was renamed into place, so a training that was stopped
goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs, work_off
from superpose.adapter import Adapter
from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.formats import load
from superpose.studies.cells import cell_seed
from superpose.training.settings import TrainingSettings
from superpose.training.train import train

__all__ = [
    "Training",
    "train_missing",
    "train_those",
    "trained",
    "trained_there",
    "trainer",
    "trainings",
]


@dataclass(frozen=True)
class Training:
    """One adapter to be trained.

    condition: `main`; `same-a`, where all domains' A start from the same values; `calibration`,
    trained on the domain's calibration rows alone.
    """

    condition: str
    seed: int
    domain: str

    @property
    def name(self) -> str:
        """Such as `trained main, seed 0: finance`."""
        return f"trained {self.condition}, seed {self.seed}: {self.domain}"

    @property
    def file(self) -> str:
        """Where its adapter lies within the tournament's folder."""
        return f"adapters/{self.condition}/seed-{self.seed}/{self.domain}"

    @property
    def training_seed(self) -> int:
        """The start of A and the order of rows; one for all domains where A is the same."""
        name = self.condition if self.condition == "same-a" else f"{self.condition}-{self.domain}"
        return cell_seed(self.seed, name)


def trainings(field: Field) -> list[Training]:
    """All adapters, in the order in which they are trained: the main ones first."""
    first = field.tournament.seeds[0]
    conditions = [("main", seed) for seed in field.tournament.seeds]
    conditions += [("same-a", first), ("calibration", first)]
    return [Training(*condition, domain) for condition in conditions for domain in field.names]


def trained(field: Field, condition: str, seed: int, domain: str) -> Adapter:
    """Give a trained adapter under its domain's name. Raises BadInput where it is not there yet."""
    path = field.folder.path / Training(condition, seed, domain).file
    if not path.is_dir():
        raise BadInput(
            "this adapter is not trained yet",
            where=path,
            hint="Run: python -m benchmarks.prediction train",
        )
    return replace(load(path), name=domain)


def trained_there(
    field: Field,
    file: str,
    rows: Sequence[Example],
    *,
    name: str,
    training: TrainingSettings,
    seed: int,
) -> Adapter:
    """Give the adapter that lies at a place in the folder, under a name; train it if none does."""
    out = field.folder.path / file
    if not out.is_dir():
        train(field.base, rows, out, lora=field.tournament.lora, training=training, seed=seed)
    return replace(load(out), name=name)


def train_missing(field: Field, jobs: Jobs = 1) -> None:
    """Train what does not lie in the folder yet; the caller holds the folder's lock."""
    train_those(field, trainings(field), jobs)


def train_those(field: Field, wanted: Sequence[Training], jobs: Jobs = 1) -> None:
    """Train those of the wanted that do not lie in the folder yet; the caller holds its lock."""
    todo = [t for t in wanted if not (field.folder.path / t.file).is_dir()]
    work_off(field, todo, [_tokens(field, training) for training in todo], trainer, jobs)


@contextmanager
def trainer(field: Field) -> Iterator[Callable[[Training], None]]:
    """Give the function that trains one adapter."""

    def train_one(training: Training) -> None:
        train(
            field.base,
            field.examples(training.domain, _rows(training)),
            field.folder.path / training.file,
            lora=field.tournament.lora,
            training=field.tournament.training,
            seed=training.training_seed,
        )

    yield train_one


def _rows(training: Training) -> str:
    return "calibration" if training.condition == "calibration" else "train"


def _tokens(field: Field, training: Training) -> int:
    return sum(row.length for row in field.examples(training.domain, _rows(training)))
