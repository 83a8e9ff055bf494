"""What is said where fewer than two adapters are named, and where one of very many is damaged."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from superpose.errors import BadInput
from superpose.files import with_home
from superpose.files.file_format import PEFT
from superpose.verbs.adapters import AdapterName, called_by

__all__ = ["many", "too_few"]

_MANY = 12
"""Adapters from which on an index is the way to ask."""


def too_few(given: Sequence[AdapterName]) -> BadInput:
    """Say that there is nothing to compare, and of a folder of adapters how they are named."""
    if not given:
        return BadInput("no adapter was named", hint="Name two or more: superpose check A B")
    name = called_by(given[0])
    if isinstance(given[0], str | os.PathLike):
        folder = with_home(given[0])
        if not (folder / PEFT.folder[0]).is_file() and (held := _held(folder)):
            place = shlex.quote(name.rstrip("/"))
            return BadInput(
                f"is no adapter but holds {held:,}",
                where=name,
                hint=f"All of them: superpose check {place}/*\n"
                f"Of very many: superpose index {place} -o library.index\n"
                "and then: superpose check --index library.index",
            )
        if not folder.exists() and set(name) & set("*?["):
            return BadInput(
                "is no adapter's name, but a pattern that a shell puts names for",
                where=name,
                hint=f"Without quotes: superpose check {name}",
            )
    return BadInput(
        "one adapter alone has nothing to be compared with",
        where=name,
        hint="Name two or more: superpose check A B",
    )


@contextmanager
def many(given: Sequence[object]) -> Iterator[None]:
    """Let the error of one among very many adapters say how the others can be asked about."""
    try:
        yield
    except BadInput as error:
        if len(given) > _MANY and error.hint is None:
            error.hint = (
                "superpose index FOLDER -o library.index leaves out what cannot be read, and says "
                "why; superpose check --index library.index compares the others."
            )
        raise


def _held(folder: Path) -> int:
    """Count the adapters that lie right in a folder."""
    if not folder.is_dir():
        return 0
    return sum((one / PEFT.folder[0]).is_file() for one in folder.iterdir())
