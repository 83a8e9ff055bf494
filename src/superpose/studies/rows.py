"""The rows of a study's domain: read from its sources, and split once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superpose.data.domain import (
    Domain,
    Row,
    is_file_name,
    question_key,
    read_rows,
    spare_rows,
    split_rows,
)
from superpose.data.prompt import Prompt
from superpose.data.questions import generate, generate_spare
from superpose.errors import placed
from superpose.studies.spec import DomainSettings, StudySpec

__all__ = ["load_domain"]

GENERATED = "demo:"
"""Prefix of a source that means the demo's own question generator."""


def load_domain(
    name: str, settings: DomainSettings, spec: StudySpec, folder: Path, prompt: Prompt
) -> Domain:
    """Read a domain's rows and make the study's one seeded split of them.

    Rows whose question leaves the answer no room are left out before the split, and so are
    training rows whose question is a test row's. Calibration rows are what the split leaves over,
    so how many are asked for changes no other row; there may be fewer.
    """
    seed, spare = spec.split_seed, spec.calibration_rows
    if settings.data is not None and settings.data.startswith(GENERATED):
        kind = settings.data.removeprefix(GENERATED)
        sizes: dict[str, Any] = {"train": spec.train_rows, "test": spec.test_rows, "seed": seed}
        train, test = generate(kind, **sizes)
        more = generate_spare(kind, most=spare, **sizes)
        return Domain(name, tuple(train), tuple(test), 0, tuple(more))
    counts: dict[str, Any] = {"seed": seed, "where": name}

    def read(source: str, split: str) -> tuple[list[Row], int]:
        return _fitting(source, split, settings, folder, prompt)

    if settings.data is not None:
        rows, left_out = read(settings.data, settings.train_split)
        parts = split_rows(rows, train=spec.train_rows, test=spec.test_rows, **counts)
        used = spec.train_rows + spec.test_rows
        return Domain(name, *parts, left_out, spare_rows(rows, used=used, most=spare, seed=seed))
    assert settings.train is not None
    assert settings.test is not None
    tests, left_out_of_tests = read(settings.test, settings.test_split)
    _, test_rows = split_rows(tests, train=0, test=spec.test_rows, **counts)
    seen = {question_key(row) for row in test_rows}
    trains, left_out = read(settings.train, settings.train_split)
    unseen = [row for row in trains if question_key(row) not in seen]
    train_rows, _ = split_rows(unseen, train=spec.train_rows, test=0, **counts)
    more_rows = spare_rows(unseen, used=spec.train_rows, most=spare, seed=seed)
    return Domain(name, train_rows, test_rows, left_out + left_out_of_tests, more_rows)


def _fitting(
    source: str, split: str, settings: DomainSettings, folder: Path, prompt: Prompt
) -> tuple[list[Row], int]:
    """The rows of a source that fit, and how many do not."""
    path = folder / source
    here = path.exists() or is_file_name(source, folder)
    columns = {name: getattr(settings, name) for name in ("question", "answer", "choices")}
    rows = read_rows(path if here else source, split=split, **columns)
    with placed(source):
        fitting = prompt.fitting(rows)
    return fitting, len(rows) - len(fitting)
