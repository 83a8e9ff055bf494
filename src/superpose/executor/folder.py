"""The folder of a piece of work is its state: what the work is, and a file for all that is done.

Every file is written beside its place and renamed, so a kill leaves a task either done or not
begun.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from superpose.errors import BadInput
from superpose.executor.locks import locked_file
from superpose.files import new_file
from superpose.files.unfinished import put_in_order_below

__all__ = ["WorkFolder"]

_PATIENCE = 0.3
"""Seconds: one who looks whether anyone is at work holds the lock for a moment."""


class WorkFolder:
    """Reads and writes what a piece of work leaves on disk under `path`.

    kind: what messages call the work, such as `study`. later: parts of its identity that it may do
    without, and take up later.
    """

    def __init__(self, path: str | Path, kind: str, later: Sequence[str] = ()) -> None:
        self.path = Path(path)
        self.kind = kind
        self.later = tuple(later)

    @property
    def _identity(self) -> Path:
        return self.path / f"{self.kind}.json"

    def claim(self, identity: Mapping[str, Any], *, begin: bool = True) -> None:
        """Begin this work here, or go on with it.

        identity: JSON that defines the work; a part of it that may come `later` may be added to a
        folder that was begun without, and left out again. begin: False only looks. Raises BadInput
        where other work, or something else, is in the folder.
        """
        known = self._identity
        if known.exists():
            found = self._read(known)
            wanted = json.loads(json.dumps(identity))
            later = [key for key in self.later if (key in found) != (key in wanted)]
            if different := _differences(_without(found, later), _without(wanted, later)):
                raise BadInput(
                    f"this folder holds another {self.kind}; it differs in {', '.join(different)}",
                    where=self.path,
                    hint=f"Give another folder with --out, or go back to that {self.kind}'s "
                    "settings.",
                )
            if begin and (added := {key: wanted[key] for key in later if key in wanted}):
                self._write(known, found | added)
            return
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise BadInput(
                f"this is not empty and holds no {self.kind}",
                where=self.path,
                hint="Give another folder with --out.",
            )
        if begin:
            self._write(known, identity)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from this work; the system lets go of it when we are killed.

        What a killed run was writing here is removed, and told by a SuperposeWarning. Raises
        BadInput where another process is at work here.
        """
        with locked_file(self.path / ".lock", _PATIENCE) as ours:
            if not ours:
                raise BadInput(
                    f"another process is running this {self.kind}",
                    where=self.path,
                    hint="Wait for it, or end it first: what it has finished is kept.",
                )
            put_in_order_below(self.path)
            yield

    def write(self, name: str, content: object) -> Path:
        """Write JSON under a name within the folder, and give its path."""
        self._write(self.path / name, content)
        return self.path / name

    def read(self, name: str) -> Any:
        """Read JSON under a name within the folder. Raises BadInput where it is damaged."""
        return self._read(self.path / name)

    def damaged(self, path: Path) -> BadInput:
        """Give the error that names a file that cannot be read, and says what to do about it."""
        return BadInput(
            f"this file of the {self.kind} cannot be read",
            where=path,
            hint=f"Delete it: the {self.kind} makes it anew.",
        )

    def _write(self, path: Path, content: object) -> None:
        with new_file(path) as beside:
            beside.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")

    def _read(self, path: Path) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise self.damaged(path) from None


def _without(content: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in keys}


def _differences(found: Any, wanted: Any, place: str = "") -> list[str]:
    """The dotted names of what two JSON objects do not have in common."""
    if not isinstance(found, dict) or not isinstance(wanted, dict):
        return [] if found == wanted else [place]
    return [
        difference
        for key in sorted(found.keys() | wanted.keys())
        for difference in _differences(
            found.get(key), wanted.get(key), f"{place}.{key}" if place else key
        )
    ]
