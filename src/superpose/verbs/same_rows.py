"""The rows that a verb read, as the words of a command that reads them again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superpose.verbs.calibrating import Calibrating
    from superpose.verbs.settings import Questions

__all__ = ["same_rows"]


def same_rows(ready: Calibrating, questions: Questions) -> list[str]:
    """Give the words behind `superpose add` that read the calibration rows that a verb read.

    Rows that were in memory are called ROWS.jsonl.
    """
    base = [] if any(w.startswith("--base=") for w in ready.given) else [ready.base.name]
    files = [domain.source or "ROWS.jsonl" for domain in ready.read]
    rows = min(map(len, ready.examples.values())) if questions.rows is None else questions.rows
    return [
        *(f"--base={name}" for name in base),
        *(f"--data={file}" for file in files),
        f"--rows={rows}",
        *_chosen(questions),
    ]


def _chosen(questions: Questions) -> Iterator[str]:
    """Give what else is not as it is by default."""
    from superpose.verbs.settings import MergeQuestions

    for name in ("seed", "max_tokens", "template", "question", "answer", "choices"):
        if (value := getattr(questions, name)) != getattr(MergeQuestions(), name):
            yield f"--{name.replace('_', '-')}={value}"
