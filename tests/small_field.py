"""A small tournament whose adapters are trained: domains of sixteen rows on a tiny base model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from benchmarks.prediction.adapters import train_missing
from benchmarks.prediction.domains import Source
from benchmarks.prediction.field import Field
from benchmarks.prediction.settings import Tournament

from superpose.training.settings import LoraSettings, TrainingSettings

PLAYED = [pytest.param("small", marks=pytest.mark.hard)]
"""Parameters of a fixture that plays or judges a small tournament: what asks for it is `hard`."""


def small_field(folder: Path, base: Path, asked: Mapping[str, str]) -> Field:
    """Give it, trained. asked: by domain its question, with {} for a number."""
    found = field_of(folder, base, asked)
    with found.claimed():
        train_missing(found)
    return found


def field_of(folder: Path, base: Path, asked: Mapping[str, str]) -> Field:
    """Give it as it is before anything was done."""
    for name, question in asked.items():
        rows = [{"question": question.format(n), "answer": f"{n} it is."} for n in range(16)]
        lines = "\n".join(map(json.dumps, rows))
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    tournament = Tournament(
        base=str(base),
        train_rows=6,
        calibration_rows=4,
        test_rows=4,
        seeds=(0,),
        lora=LoraSettings(rank=2, alpha=16, dropout=0, targets=("q_proj", "down_proj")),
        training=TrainingSettings(learning_rate=3e-2, batch_size=2),
    )
    sources = {name: Source(f"{name}.jsonl") for name in asked}
    return Field(folder / "run", data=folder, tournament=tournament, sources=sources)
