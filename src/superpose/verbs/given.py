"""What was given to a verb, as the words of a command that takes the same adapters."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from superpose.files.file_format import GGUF

if TYPE_CHECKING:
    from superpose.verbs.adapters import Adapters
    from superpose.verbs.calibrating import Calibrating
    from superpose.verbs.settings import Questions

__all__ = ["given_to_add", "same_rows"]


def given_to_add(
    adapters: Adapters, base: str, same_base: bool = False, ignore_keys: Sequence[str] = ()
) -> list[str]:
    """Give the words behind `superpose add` that take adapters as a verb with a base took them.

    A loaded adapter is named by where it was read. Only a GGUF file asks for the base.
    """
    words = [
        os.fspath(a) if isinstance(a, str | os.PathLike) else a.path or a.name for a in adapters
    ]
    options = ["--same-base"] if same_base else []
    options += [f"--ignore-key={key}" for key in ignore_keys]
    if any(word.endswith(GGUF.ending) for word in words):
        options.append(f"--base={base}")
    return words + options


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
