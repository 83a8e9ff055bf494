"""What the tournament is: how many rows of which length, which seeds, which training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from superpose.training.settings import LoraSettings, TrainingSettings

__all__ = ["DATA", "Tournament"]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
"""The question sets lie beside the repository: they are read there and never copied."""

_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "down_proj")


@dataclass(frozen=True)
class Tournament:
    """One tournament; the defaults are the one whose results are published.

    train_rows, calibration_rows, test_rows: of every domain, no question in two of them.
    Predictors may look at calibration rows alone. seeds: of the trainings; the split has its own.
    triples, quadruples: subsets of three and of four domains drawn for every seed.
    lora, training: as in studies/smollm2.yaml.
    """

    base: str = "smollm2"
    train_rows: int = 240
    calibration_rows: int = 64
    test_rows: int = 48
    max_tokens: int = 100
    split_seed: int = 0
    seeds: tuple[int, ...] = (0, 1, 2)
    triples: int = 12
    quadruples: int = 8
    lora: LoraSettings = field(
        default_factory=lambda: LoraSettings(rank=4, alpha=64, dropout=0, targets=_TARGETS)
    )
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(epochs=1, learning_rate=3e-4, batch_size=8)
    )

    def to_json(self) -> dict[str, Any]:
        """Everything but the seeds, of which more only extend a tournament."""
        return {
            "base": self.base,
            "rows": [self.train_rows, self.calibration_rows, self.test_rows],
            "max_tokens": self.max_tokens,
            "split_seed": self.split_seed,
            "sampled": [self.triples, self.quadruples],
            "lora": asdict(self.lora) | {"targets": list(self.lora.targets)},
            "training": asdict(self.training),
        }
