"""An index of many adapters of one base model, or of several."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.library.entry import LibraryEntry
from superpose.library.indexing import IndexUpdate, index_adapters
from superpose.shown import Column, Framed, Line, Part, Shown, Table
from superpose.shown.words import counted
from superpose.verbs.progress import Progress

__all__ = ["Indexed", "index"]

_PROBLEMS = (
    Column("adapter", "name"),
    Column("why it is left out", lambda one: _without_place(one, one.problem), prose=True),
)
_REMARKS = (
    Column("adapter", "name"),
    Column("remark", lambda one: _without_place(one, one.remark), prose=True),
)

_BASES = (Column("base model", lambda one: one[0]), Column("adapters", lambda one: one[1], ",d"))


@dataclass(frozen=True)
class Indexed(Framed, IndexUpdate, Shown):
    """What an index holds, and what this run found."""

    TABLE: ClassVar[str] = "problems"

    def to_json(self) -> dict[str, Any]:
        """Give what `superpose index --json` prints."""
        return {
            "index": str(self.path),
            "adapters": sum(self.bases.values()),
            "bases": self.bases,
            "counts": self.counts,
            "problems": [
                {"name": one.name, "path": one.given, "problem": one.problem}
                for one in self.entries
                if not one.sound
            ],
            "missing": list(self.missing),
            "remarks": {one.given: one.remark for one in self.entries if one.remark},
            "seconds": self.seconds,
        }

    def shown(self) -> tuple[Part, ...]:
        """Give the bases, what is new, and what is left out with its reason."""
        said = ", ".join(f"{count:,} {what}" for what, count in sorted(self.counts.items()))
        problems = [one for one in self.entries if not one.sound]
        parts: list[Part] = [
            Line(f"{self.path}: {counted(sum(self.bases.values()), 'adapter')} ({said})", "indexed")
        ]
        if len(self.bases) > 1:
            apart = "Adapters of different base models are kept apart: they are never compared."
            parts.append(Table.of("Base models", _BASES, self.bases.items(), apart))
        if problems:
            parts.append(Table.of("Left out", _PROBLEMS, problems))
        remarks = [one for one in self.entries if one.sound and one.remark]
        if remarks:
            parts.append(Table.of("Read with a remark", _REMARKS, remarks[:10], _more(remarks)))
        stored = [one.name for one in self.entries if one.sound and one.stored]
        if stored:
            more = f" and {len(stored) - 3:,} more" if len(stored) > 3 else ""
            parts.append(
                Line(
                    f"{', '.join(stored[:3])}{more} also hold tensors in place of the base model's "
                    "own, or of heads, which are in no figure."
                )
            )
        return tuple(parts)


def _without_place(one: LibraryEntry, said: str) -> str:
    """Leave out where an adapter lies, which its name says beside it."""
    return said.removeprefix(f"{one.given}: ").removeprefix(f"{one.given}/")


def _more(remarks: Sequence[object]) -> str:
    return f"{len(remarks) - 10:,} more; --json has all." if len(remarks) > 10 else ""


@typed
def index(
    folders: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] = (),
    out: str | os.PathLike[str] = "library.index",
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Indexed:
    """Index all adapters below folders: configuration, norms, singular values, sketches, problems.

    folders: of adapters, or adapters themselves: folders, files, hub names. Without any, what an
    index that is there was made of is looked at again. out: the index, a folder. Only adapters that
    are new or have other content are read; a run that was ended goes on where it stood. One that
    cannot be read is listed with its reason, one of these names that the hub does not give in
    `missing` too. seed: of the sketches of a new index.

    Raises BadInput for a name that is nothing here and cannot be of the hub, or an index of another
    version; MissingExtra without pyarrow.
    """
    given = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
    if seed < 0:
        raise BadSetting(f"{seed} is below 0", where="seed")
    names = [os.fspath(folder) for folder in given]
    return Indexed(**vars(index_adapters(names, Path(out), seed=seed, progress=progress)))
