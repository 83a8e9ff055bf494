"""A study of two domains on a tiny base, and who hears how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superpose.studies.spec import StudySpec
from superpose.training.reporter import Reporter


def tiny_spec(base: Path, files: dict[str, Path], **changes: Any) -> StudySpec:
    settings: dict[str, Any] = {
        "name": "tiny",
        "base": str(base),
        "domains": {name: {"data": str(path)} for name, path in files.items()},
        "train_rows": 16,
        "test_rows": 8,
        "seeds": [0, 1],
        "prompt": {"max_tokens": 64},
        "lora": {"rank": 2, "alpha": 8, "dropout": 0, "targets": ["q_proj", "down_proj"]},
        "training": {"epochs": 1, "learning_rate": 0.02, "batch_size": 8},
    }
    return StudySpec.model_validate(settings | changes)


class Heard(Reporter):
    """Keeps what was finished, and stops the study after so many activities."""

    def __init__(self, stop_after: int = 1000) -> None:
        self.finished: list[str] = []
        self.stop_after = stop_after
        self.work = 0.0

    def plan(self, total: float, left: float, cells: int) -> None:
        self.total, self.left = total, left

    def advance(self, work: float) -> None:
        self.work += work

    def finish(self, activity: str, seconds: float) -> None:
        self.finished.append(activity)
        if len(self.finished) == self.stop_after:
            raise KeyboardInterrupt


def files_of(folder: Path) -> dict[str, bytes]:
    paths = {p.relative_to(folder): p for p in folder.rglob("*") if p.is_file()}
    return {str(name): p.read_bytes() for name, p in paths.items() if name.parts[0] != ".executor"}
