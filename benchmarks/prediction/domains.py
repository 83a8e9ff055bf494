"""The tournament's domains, and the one seeded split of each that everybody uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.prediction.settings import Tournament
from superpose.data.domain import Row, question_key, read_rows, split_rows
from superpose.data.prompt import Prompt

__all__ = ["SOURCES", "Source", "Split", "load_splits"]


@dataclass(frozen=True)
class Source:
    """Where a domain's rows are: a file of the data folder, or the part of one.

    start: only questions that begin so, in any case. tests: a file of its own for test rows.
    longer_test: this many times the test rows, where answers are so short that they tell little.
    rows: training, calibration and test rows, where they are not the tournament's. choices: only
    questions that have answers to choose from.
    """

    file: str
    start: str = ""
    tests: str | None = None
    longer_test: int = 1
    rows: tuple[int, int, int] | None = None
    choices: bool = False


SOURCES: Mapping[str, Source] = {
    "finance": Source("finance.jsonl"),
    "math": Source("math.train.jsonl", tests="math.test.jsonl"),
    "research": Source("research.jsonl"),
    "music": Source("trivia-music.jsonl", longer_test=3),
    "science": Source("trivia-science-technology.jsonl", longer_test=3),
    "meaning": Source("medicine.jsonl", "what is (are)"),
    "causes": Source("medicine.jsonl", "what causes"),
    "treatments": Source("medicine.jsonl", "what are the treatments"),
    "diagnosis": Source("medicine.jsonl", "how to diagnose"),
}
"""Unrelated ones (math, finance), related ones (trivia) and near relations: the medicine set by
kind of question."""


@dataclass(frozen=True)
class Split:
    """A domain's rows: to train its adapter on, to calibrate predictors on, and to measure on."""

    train: tuple[Row, ...]
    calibration: tuple[Row, ...]
    test: tuple[Row, ...]

    def parts(self) -> dict[str, tuple[Row, ...]]:
        """The three by name."""
        return {"train": self.train, "calibration": self.calibration, "test": self.test}


def load_splits(
    folder: Path,
    tournament: Tournament,
    prompt: Prompt,
    sources: Mapping[str, Source] = SOURCES,
) -> dict[str, Split]:
    """Read every domain and split it. Raises BadInput for a missing file and for too few rows."""
    return {
        name: _split(name, source, folder, tournament, prompt) for name, source in sources.items()
    }


def _split(
    name: str, source: Source, folder: Path, tournament: Tournament, prompt: Prompt
) -> Split:
    def rows(file: str) -> list[Row]:
        # Without choices the record's fingerprints are those of questions and answers.
        read = read_rows(folder / file, choices="choices" if source.choices else "")
        if source.choices:
            read = [row for row in read if row.choices]
        return prompt.fitting(r for r in read if r.question.lower().startswith(source.start))

    seed = tournament.split_seed
    train, calibration, held = source.rows or (
        tournament.train_rows,
        tournament.calibration_rows,
        tournament.test_rows * source.longer_test,
    )
    known = train + calibration
    if source.tests is None:
        rest, test = split_rows(rows(source.file), train=known, test=held, seed=seed, where=name)
    else:
        _, test = split_rows(rows(source.tests), train=0, test=held, seed=seed, where=name)
        seen = {question_key(row) for row in test}
        unseen = [row for row in rows(source.file) if question_key(row) not in seen]
        rest, _ = split_rows(unseen, train=known, test=0, seed=seed, where=name)
    return Split(rest[:train], rest[train:], test)
