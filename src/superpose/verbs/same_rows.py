"""The rows that a verb read, as the words of a command that reads them again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpose.verbs.calibrating import Calibrating
    from superpose.verbs.settings import Loading, Questions

__all__ = ["same_rows", "tune_command"]

_BASE = "--base="


def same_rows(ready: Calibrating, questions: Questions) -> list[str]:
    """Give the words behind `superpose add` that read the calibration rows that a verb read.

    Rows that were in memory are called ROWS.jsonl.
    """
    base = [] if any(w.startswith(_BASE) for w in ready.given) else [f"{_BASE}{ready.base.name}"]
    return [*base, *_rows(ready, questions)]


def tune_command(
    ready: Calibrating,
    questions: Questions,
    loading: Loading,
    out: str | os.PathLike[str] | None = None,
) -> str:
    """Give the command that tunes the weights of the same adapters on the same rows.

    out: where a verb kept what it measured, which is then not measured again.
    """
    from superpose.verbs.settings import Loading

    adapters = [word for word in ready.given if not word.startswith(_BASE)]
    loaded = _chosen(loading, Loading(), "dtype", "device")
    there = () if out is None else (f"--out={os.fspath(out)}",)
    words = [ready.base.name, *adapters, *_rows(ready, questions), *loaded, *there]
    return shlex.join(["superpose", "tune", *words])


def _rows(ready: Calibrating, questions: Questions) -> Iterator[str]:
    from superpose.verbs.settings import MergeQuestions

    for domain in ready.read:
        yield f"--data={domain.source or 'ROWS.jsonl'}"
    rows = min(map(len, ready.examples.values())) if questions.rows is None else questions.rows
    yield f"--rows={rows}"
    names = ("seed", "max_tokens", "template", "question", "answer", "choices")
    yield from _chosen(questions, MergeQuestions(), *names)


def _chosen(given: object, default: object, *names: str) -> Iterator[str]:
    """Give what is not as it is by default."""
    for name in names:
        if (value := getattr(given, name)) != getattr(default, name):
            yield f"--{name.replace('_', '-')}={value}"
