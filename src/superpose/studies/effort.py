"""What a study takes: the tokens of its cells, and how fast a machine works them off."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from superpose.data.prompt import Example
from superpose.executor import Task
from superpose.measure.pace import PACE_ROWS, forward_pace
from superpose.model import BaseModel
from superpose.studies.opened import TRAINING_WORK
from superpose.training.settings import LoraSettings, TrainingSettings
from superpose.training.train import train

__all__ = ["RECORDED", "Effort", "Pace", "measured_pace"]


@dataclass(frozen=True)
class Pace:
    """Tokens a second, in training and forward alone. source: where the figures come from."""

    training: float
    forward: float
    source: str


RECORDED = Pace(
    224.7, 777.7, "on record for SmolLM2-135M on two cores, docs/benchmarks.md; not measured here"
)
"""What `training` and `evaluation` of the repository's benchmarks found (benchmarks/results)."""


@dataclass(frozen=True)
class Effort:
    """Tokens to be worked off: seen by trainings, each back and forth, and going forward alone."""

    training: float
    forward: float

    @classmethod
    def of(cls, tasks: Iterable[Task]) -> Effort:
        """Count what a study's tasks take; what the weights tell takes no token."""
        found = dict.fromkeys(("train", "evaluate", "evaluate on", "forecast", "check"), 0.0)
        for task in tasks:
            found[task.arguments[0]] += task.work
        forward = found["evaluate"] + found["evaluate on"] + found["forecast"]
        return cls(found["train"] / TRAINING_WORK, forward)

    def hours(self, pace: Pace) -> float:
        """How long it takes at a pace."""
        return (self.training / pace.training + self.forward / pace.forward) / 3600


def measured_pace(base: BaseModel, rows: Sequence[Example], lora: LoraSettings) -> Pace:
    """Measure a base model's pace on rows: a pass forward, and an optimiser step.

    Each is done twice and the second counts, as the first has things to set up. Raises what
    `train` raises, such as BadInput for target modules that the base does not have.
    """
    rows = rows[:PACE_ROWS]
    forward = forward_pace(base.model, rows)
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(
            base,
            rows,
            Path(folder, "pace"),
            lora=lora,
            training=TrainingSettings(epochs=2, batch_size=len(rows)),
            progress=lambda *_: ends.append(time.perf_counter()),
        )
    training = _tokens(rows) / (ends[-1] - ends[-2])
    return Pace(training, forward, f"measured here just now, on {len(rows)} rows")


def _tokens(rows: Sequence[Example]) -> int:
    return sum(example.length for example in rows)
