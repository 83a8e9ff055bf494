"""Adapters that are compared: those of a folder or a pattern, too few of them, or very many."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path

from superpose.errors import BadInput
from superpose.files import with_home
from superpose.files.file_format import ENDINGS, IN_FOLDERS, PEFT, weights_pattern
from superpose.verbs.adapters import AdapterName, called_by

__all__ = ["many", "too_few", "with_folders"]

_MANY = 12
"""Adapters from which on an index is the way to ask."""

_MOST = 64
"""Adapters of a folder that are compared without an index: 2,016 pairs, each with its modules."""

_OWN = (PEFT.folder[0], *IN_FOLDERS)
"""Files that make a folder an adapter."""


def with_folders(given: Sequence[AdapterName]) -> list[AdapterName]:
    """Give adapters with those right in a folder, or behind a pattern, in its place, by name.

    Raises BadInput for a folder of more than are compared without an index.
    """
    found: list[AdapterName] = []
    for one in given:
        found += _in(one) if isinstance(one, str | os.PathLike) else [one]
    return found


def too_few(given: Sequence[AdapterName]) -> BadInput:
    """Say that there is nothing to compare."""
    if not given:
        return BadInput("no adapter was named", hint="Name two or more: superpose check A B")
    return BadInput(
        "one adapter alone has nothing to be compared with",
        where=called_by(given[0]),
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


def _in(name: str | os.PathLike[str]) -> list[AdapterName]:
    """Give what a name stands for: itself, but of a folder of adapters and of a pattern."""
    folder, said = with_home(name), os.fspath(name)
    if said and folder.is_dir():  # an empty word, of a variable that is not set, names no folder
        held = [] if any((folder / own).exists() for own in _OWN) else _held(folder)
        return [str(Path(said, one.name)) for one in _few_enough(held, said)] or [name]
    if not folder.exists() and set(said) & set("*?["):
        return [*sorted(glob(str(folder)))] or [name]  # noqa: PTH207  Path's are below one folder
    return [name]


def _few_enough(held: list[Path], said: str) -> list[Path]:
    if len(held) > _MOST:
        place = shlex.quote(said.rstrip("/"))
        raise BadInput(
            f"holds {len(held):,} adapters, which are {len(held) * (len(held) - 1) // 2:,} pairs",
            where=said,
            hint=f"Of more than {_MOST}: superpose index {place} -o library.index\n"
            "and then: superpose check --index library.index",
        )
    return held


def _held(folder: Path) -> list[Path]:
    """Give the adapters that lie right in a folder, by name: folders, and files that may be one."""
    return sorted(one for one in folder.iterdir() if _is_one(one))


def _is_one(path: Path) -> bool:
    if path.is_dir():
        return any((path / own).is_file() for own in _OWN)
    one = path.name.endswith(ENDINGS) and not path.name.startswith((".", "model"))
    return one and re.fullmatch(weights_pattern(), path.name) is None
