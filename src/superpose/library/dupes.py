"""The same adapter under other names: in another split, dtype, scale or file format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from superpose.adapter import Adapter
from superpose.files import without_nan
from superpose.interference.borders import COPY
from superpose.interference.clusters import Union
from superpose.library.near import likeness_of
from superpose.library.opened import Library
from superpose.shown import Column, Framed, Line, Part, Shown, Table
from superpose.shown.words import counted

Tell: TypeAlias = Callable[[float, float | None, str], None]

TOLERANCE = math.sqrt(1.0 - COPY**2)
"""Relative difference up to which two are copies: what rounding to bfloat16 does, and more."""

_ROWS = 1024
"""Sketches that are compared with all at once."""

_SLACK = 2.0
"""How much larger than it is a sketch may show a difference: its error is a few per cent."""

_HELD = 64
"""Adapters that are kept in memory while copies are told."""


@dataclass(frozen=True)
class Copied:
    """A copy. scale: c with c X = A, of the kept one A. cosine, difference: of the two, exact."""

    name: str
    path: str
    cosine: float
    scale: float
    difference: float
    dtypes: tuple[str, ...]
    rank: int
    format: str


@dataclass(frozen=True)
class Copies:
    """One adapter and its copies. keep: which to keep, and why."""

    keep: str
    path: str
    reason: str
    base: str
    copies: tuple[Copied, ...]


_COLUMNS = (
    Column("keep", lambda pair: pair[0].keep),
    Column("copy", lambda pair: pair[1].name),
    Column("scale", lambda pair: pair[1].scale, ".4g"),
    Column("cosine", lambda pair: pair[1].cosine, "+.6f"),
    Column("difference", lambda pair: pair[1].difference, ".2g"),
    Column("rank", lambda pair: pair[1].rank, "d"),
    Column("dtype", lambda pair: ", ".join(pair[1].dtypes)),
    Column("format", lambda pair: pair[1].format),
)


@dataclass(frozen=True)
class Duplicates(Framed, Shown):
    """All copies of a library. among: adapters that were compared. zero: that change nothing."""

    TABLE: ClassVar[str] = "groups.copies"

    among: int
    tolerance: float
    groups: tuple[Copies, ...]
    zero: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what `superpose dupes --json` prints."""
        groups = [
            {**vars(one), "copies": [without_nan(vars(copy)) for copy in one.copies]}
            for one in self.groups
        ]
        return {
            "among": self.among,
            "tolerance": self.tolerance,
            "groups": groups,
            "zero": list(self.zero),
        }

    def shown(self) -> tuple[Part, ...]:
        """Give each copy beside the one to keep."""
        pairs = [(group, copy) for group in self.groups for copy in group.copies]
        parts: list[Part] = []
        if pairs:
            said = "The difference is |A - scale X| / |A|, of the one to keep A and its copy X."
            parts += [Table.of("Copies", _COLUMNS, pairs, said)]
            parts += [Line(group.reason, f"Keep {group.keep}:") for group in self.groups]
        else:
            parts += [Line(f"no copies among {counted(self.among, 'adapter')}.")]
        if self.zero:
            parts += [Line(f"{', '.join(self.zero)}.", "Change nothing:")]
        return tuple(parts)


def duplicates(
    library: Library, tolerance: float = TOLERANCE, progress: Tell | None = None
) -> Duplicates:
    """Find adapters whose deltas are one another's but for a factor, whatever their files hold.

    tolerance: relative difference |A - c X| / |A| up to which X is a copy of A. Candidates come
    from the sketches, in which a difference has a relative standard error of a few per cent;
    whether they are copies is told exactly.
    """
    held = HeldAdapters(library)
    groups: list[Copies] = []
    for base, members in library.bases.items():
        pairs = sorted(close_pairs(library, members, _SLACK * tolerance))
        kept = Union(members)
        for done, (_, i, j) in enumerate(pairs):
            if progress is not None:
                progress(done, len(pairs), f"compare {library.names[i]}")
            if kept.of(i) != kept.of(j) and held.compare(i, j)[2] <= tolerance:
                kept.join(i, j)
        groups += [_told(held, base, one) for one in kept.groups() if len(one) > 1]
    zero = [library.names[at] for at, e in enumerate(library.entries) if not e.norm > 0.0]
    return Duplicates(len(library.entries), tolerance, tuple(groups), tuple(zero))


def close_pairs(
    library: Library, members: Sequence[int], difference: float
) -> Iterator[tuple[float, int, int]]:
    """Give pairs whose unit adapters differ by so little, by their sketches, and positions.

    The difference is that of A / |A| from X / |X|, or from -X / |X| where that is smaller.
    """
    live = np.array([at for at in members if library.entries[at].norm > 0.0], int)
    sketches = library.sketches[live]
    squares = np.einsum("ij,ij->i", sketches, sketches, dtype=np.float64)
    for begin in range(0, len(live), _ROWS):
        rows = slice(begin, begin + _ROWS)
        cosines = np.abs(sketches[rows] @ sketches.T)
        sums = squares[rows, None] + squares[None]
        # Of what is left of a sum of squares after 2 cosines, float32 knows no more than this.
        close = sums - 2.0 * cosines <= (difference**2 / 2.0 + 4e-6) * sums
        for i, j in np.argwhere(close):
            if begin + i < j:
                left = max(0.0, float(sums[i, j] - 2.0 * cosines[i, j]))
                yield math.sqrt(left), int(live[begin + i]), int(live[j])


class HeldAdapters:
    """Adapters of a library, the last few of which stay in memory."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._adapters: dict[int, Adapter] = {}

    def adapter(self, at: int) -> Adapter:
        """Read an adapter, or give the one that is still here."""
        if at not in self._adapters:
            while len(self._adapters) >= _HELD:
                del self._adapters[next(iter(self._adapters))]
            self._adapters[at] = self.library.adapter(at)
        return self._adapters[at]

    def compare(self, i: int, j: int) -> tuple[float, float, float, int]:
        """Give what `likeness_of` gives of two."""
        return likeness_of(self.adapter(i), self.adapter(j))


def _told(held: HeldAdapters, base: str, members: Sequence[int]) -> Copies:
    """Say which of a group of copies to keep, and what the others are of it."""
    library = held.library
    kept, reason = _to_keep(library, members)
    copies = []
    for at in members:
        if at != kept:
            entry = library.entries[at]
            cosine, scale, difference, _ = held.compare(kept, at)
            copies.append(
                Copied(library.names[at], entry.given, cosine, scale, difference,
                       entry.dtype_names, entry.rank, entry.format)
            )  # fmt: skip
    path = library.entries[kept].given
    return Copies(library.names[kept], path, reason, base, tuple(copies))


def _to_keep(library: Library, members: Sequence[int]) -> tuple[int, str]:
    """Choose by what files keep: precision first, then what else they store, then size and age."""
    entries = library.entries

    def worth(at: int) -> tuple[float, ...]:
        one = entries[at]
        return -_bits(one.dtype_names), -one.stored, float(one.made is not None), one.parameters, at

    best, *rest = sorted(members, key=worth)
    mine, other = worth(best), worth(rest[0])
    said = (
        f"its factors are {entries[best].dtypes}, the most precise of these",
        "it alone stores what else was trained",
        "the others were made of it or of others",
        "it is the smallest on disk, of the same precision",
        "it was indexed first; precision, origin and size are alike",
    )
    return best, next(text for x, y, text in zip(mine, other, said, strict=True) if x != y) + "."


def _bits(dtypes: Sequence[str]) -> float:
    """Give the precision of the coarsest of some dtypes: bits behind the point."""
    known = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}
    return min((known.get(name, 3) for name in dtypes), default=0)
