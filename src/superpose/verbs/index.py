"""An index of many adapters of one base model, or of several."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.library.entry import LibraryEntry
from superpose.library.indexing import IndexUpdate, index_adapters
from superpose.shown import Column, Framed, Line, Part, Shown, Table
from superpose.shown.words import counted
from superpose.verbs.progress import Progress

if TYPE_CHECKING:
    from superpose.report import Page

__all__ = ["Indexed", "index"]

_PROBLEMS = (
    Column("adapter", "name"),
    Column("why it is left out", lambda one: _without_place(one, one.problem), prose=True),
)
_REMARKS = (
    Column("adapter", "name"),
    Column("remark", lambda one: _without_place(one, one.remark), prose=True),
)

_BASES = (
    Column("base model", "base"),
    Column("adapters", "adapters", ",d"),
    Column("ranks", "ranks"),
    Column("dtypes", "dtypes"),
    Column("parameters", "parameters", ",d"),
)
_HELD = (
    Column("adapter", "name"),
    Column("base model", "base"),
    Column("rank", "rank", "d"),
    Column("dtype", "dtypes"),
    Column("format", "format"),
    Column("parameters", "parameters", ",d"),
    Column("norm", "norm", ".4g"),
)

_FEW = 6
"""Ranks that are told one by one."""


@dataclass(frozen=True)
class HeldBase:
    """What an index holds of one base model. ranks, dtypes: in words. parameters: of all."""

    base: str
    adapters: int
    ranks: str
    dtypes: str
    parameters: int

    @classmethod
    def of(cls, base: str, entries: Sequence[LibraryEntry]) -> HeldBase:
        """Sum up the entries of one base model."""
        ranks = sorted({one.rank for one in entries})
        told = ", ".join(map(str, ranks)) if len(ranks) <= _FEW else f"{ranks[0]} to {ranks[-1]}"
        dtypes = ", ".join(sorted({name for one in entries for name in one.dtype_names}))
        return cls(base, len(entries), told, dtypes, sum(one.parameters for one in entries))


@dataclass(frozen=True)
class Indexed(Framed, IndexUpdate, Shown):
    """What an index holds, and what this run found."""

    TABLE: ClassVar[str] = "entries"

    @property
    def held(self) -> tuple[HeldBase, ...]:
        """What the index holds of each base model."""
        sound = [one for one in self.entries if one.sound]
        return tuple(
            HeldBase.of(base, [one for one in sound if one.base == base]) for base in self.bases
        )

    def to_json(self) -> dict[str, Any]:
        """Give what `superpose index --json` prints."""
        return {
            "output": str(self.path),
            "adapter_count": sum(self.bases.values()),
            "bases": self.bases,
            "counts": self.counts,
            "entries": [_record(one) for one in self.entries],
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
        said = said or "nothing that may be one lies below what was named"
        parts: list[Part] = [
            Line(f"{self.path}: {counted(sum(self.bases.values()), 'adapter')} ({said})", "indexed")
        ]
        if self.bases:
            parts.append(self._bases())
        stored = [one.name for one in self.entries if one.sound and one.stored]
        if stored:
            more = f" and {len(stored) - 3:,} more" if len(stored) > 3 else ""
            parts.append(
                Line(
                    f"{', '.join(stored[:3])}{more} also hold tensors in place of the base model's "
                    "own, or of heads, which are in no figure."
                )
            )
        return (*parts, *self._rest(10))

    def page(self, command: str = "") -> Page:
        """Give the page. command: that which made it, as it was typed."""
        from superpose.report import ON_AN_INDEX_PAGE, Making, index_page

        sound = [one for one in self.entries if one.sound]
        held = Table.of("Adapters of the index", _HELD, sound[:ON_AN_INDEX_PAGE])
        made = Making(command=command, seconds={"this run": self.seconds})
        rest = self._rest(ON_AN_INDEX_PAGE)
        return index_page(self.to_json(), self._bases(), held, rest, made)

    def _bases(self) -> Table:
        apart = "Adapters of different base models are kept apart: they are never compared."
        return Table.of("Base models", _BASES, self.held, apart if len(self.bases) > 1 else "")

    def _rest(self, most: int) -> list[Table]:
        """Give what is left out, and remarks. most: remarks that are shown."""
        problems = [one for one in self.entries if not one.sound]
        remarks = [one for one in self.entries if one.sound and one.remark]
        more = f"{len(remarks) - most:,} more; --json has all." if len(remarks) > most else ""
        tables = [
            Table.of("Left out", _PROBLEMS, problems),
            Table.of("Read with a remark", _REMARKS, remarks[:most], more),
        ]
        return [table for table in tables if table.rows]


def _record(one: LibraryEntry) -> dict[str, Any]:
    """Give what JSON and CSV tell of an adapter; of one that is left out there are no figures."""
    figures = "base rank dtypes format parameters norm made".split()
    known = {name: getattr(one, name) if one.sound else None for name in figures}
    known["dtypes"] = list(one.dtype_names) if one.sound else None
    known["stored_count"] = one.stored if one.sound else None
    return {"name": one.name, "path": one.given, **known, "problem": one.problem,
            "remark": one.remark}  # fmt: skip


def _without_place(one: LibraryEntry, said: str) -> str:
    """Leave out where an adapter lies, which its name says beside it."""
    return said.removeprefix(f"{one.given}: ").removeprefix(f"{one.given}/")


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
