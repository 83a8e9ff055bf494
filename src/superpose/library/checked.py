"""What the weights tell of all pairs of a library: clusters, the worst pairs, a map."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np

from superpose.adapter import Adapter
from superpose.executor import Execution
from superpose.files import without_nan
from superpose.interference import Pair, check
from superpose.interference.borders import NEARLY_COPY
from superpose.interference.clusters import clusters_of
from superpose.interference.evidence import NOTHING_FOUND
from superpose.interference.figures import CHANCE, PAIR_COLUMNS
from superpose.interference.many import ON_A_MAP, as_many
from superpose.library.opened import Library
from superpose.library.pairs import AllPairs, all_pairs, compare_pairs, remove_stale_pairs
from superpose.library.placing import Place
from superpose.shown import Column, Framed, Line, Part, Shown, Table
from superpose.shown.words import counted

Array: TypeAlias = Any

Tell: TypeAlias = Callable[[float, float | None, str], None]

_WORST, _TOLD = 12, 4
"""Pairs whose every figure is computed, and those that are spoken of."""

_MERGED = 12
"""Near copies of which one adapter is made, at most: a command of more would not be read."""

_LABEL = Column("pair", lambda pair: f"{pair.a} + {pair.b}")


@dataclass(frozen=True, eq=False)
class CheckedBase:
    """All pairs of one base model's adapters. names (N). worst: the largest cosines, whole.

    merging: the command that makes one adapter of near copies; empty where there are none.
    """

    base: str
    names: tuple[str, ...]
    pairs: AllPairs
    worst: tuple[Pair, ...]
    merging: str = ""

    def parts(self, most: int = ON_A_MAP) -> tuple[Part, ...]:
        """Give clusters, map and worst pairs. most: adapters of the map."""
        if len(self.names) == 1:
            alone = "the only adapter of this base model: there is nothing to compare it with."
            return (Line(f"{self.names[0]} is {alone}", f"{self.base}:"),)
        count = len(self.names) * (len(self.names) - 1) // 2
        own = np.eye(len(self.names), dtype=bool)
        floor = np.where(self.pairs.floor > 0.0, self.pairs.floor, np.nan)
        multiple = self.pairs.cosine / floor
        cosine = np.where(own, np.nan, self.pairs.cosine)
        some = f" Of {count:,} pairs those with the largest cosines." if count > _WORST else ""
        return (
            Line(
                f"{counted(len(self.names), 'adapter')}, {counted(count, 'pair')}.", f"{self.base}:"
            ),
            *as_many(self.names, cosine, multiple, most),
            Table.of("Pairs", (_LABEL, *PAIR_COLUMNS), self.worst, CHANCE + some),
            *self._told(),
            *([Line(self.merging, "One adapter of near copies:", whole=True)] * bool(self.merging)),
        )

    def _told(self) -> tuple[Part, ...]:
        """Speak of the worst pairs; where they are unrelated there is nothing to say of each."""
        told = [pair for pair in self.worst if pair.judgement.verdict not in NOTHING_FOUND][:_TOLD]
        if not told:
            plain = "nothing in the weights speaks against adding any two of them. Whether a sum "
            return (
                Line(f"{plain}is good, only an evaluation tells.", "Not even these are related:"),
            )
        return tuple(part for pair in told for part in pair.said(f"{pair.a} + {pair.b}"))


@dataclass(frozen=True, eq=False)
class LibraryCheck(Framed, Shown):
    """What the weights tell of a library, for each base model by itself."""

    TABLE: ClassVar[str] = "bases.pairs"

    bases: tuple[CheckedBase, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what `superpose check --index --json` prints; every pair lies in the index."""
        found = [
            {
                "base": one.base,
                "adapters": list(one.names),
                "clusters": [
                    [one.names[at] for at in cluster] for cluster in clusters_of(one.pairs.cosine)
                ],
                "pairs": [
                    {"a": pair.a, "b": pair.b, "cosine": pair.cosine,
                     "rms_cosine": pair.rms_cosine, "cosine_floor": pair.cosine_floor,
                     "shared_a": pair.shared_a, "norm_ratio": pair.norm_ratio,
                     **pair.judgement._asdict()}
                    for pair in one.worst
                ],
            }
            for one in self.bases
        ]  # fmt: skip
        return {"bases": without_nan(found)}

    def shown(self) -> tuple[Part, ...]:
        """Give each base model's clusters, map and worst pairs."""
        parts = [part for one in self.bases for part in one.parts()]
        return tuple(parts) or (Line("no adapter is in the index."),)


def check_library(
    library: Library,
    progress: Tell | None = None,
    place: Place | None = None,
    execution: Execution = Execution(),  # noqa: B008 - frozen
) -> LibraryCheck:
    """Compare all pairs of a library by blocks; those whose files are there are not taken again.

    library: all of an index. Files of pairs that it has no more are removed. place, execution: as
    for `compare_pairs`.
    """
    compare_pairs(library, list(library.bases), progress, execution, place)
    found = LibraryCheck(tuple(_of_base(library, base) for base in library.bases))
    remove_stale_pairs(library)
    return found


def _of_base(library: Library, base: str) -> CheckedBase:
    members = library.bases[base]
    found = all_pairs(library, base)
    upper = np.triu(np.abs(np.nan_to_num(found.cosine)), 1)
    first = np.argsort(-upper, axis=None, kind="stable")[:_WORST]
    rows, columns = np.unravel_index(first, upper.shape)
    worst = []
    for i, j in zip(rows, columns, strict=True):
        if i < j:
            two = (library.adapter(members[int(n)]) for n in (i, j))
            called = (library.names[members[int(n)]] for n in (i, j))
            (pair,) = check([_called(a, n) for a, n in zip(two, called, strict=True)], True).pairs
            worst.append(pair)
    names = tuple(library.names[at] for at in members)
    return CheckedBase(base, names, found, tuple(worst), _merging(library, members, found.cosine))


def _merging(library: Library, members: Sequence[int], cosine: Array) -> str:
    """Give the command that writes the average of near copies, at the rank of the largest.

    Of several groups it is the largest that a command can name. members (N): of one base model.
    cosine (N, N).
    """
    near = np.nan_to_num(cosine) >= NEARLY_COPY
    np.fill_diagonal(near, True)
    counts = np.where(near.sum(axis=1) <= _MERGED, near.sum(axis=1), 0)
    first = int(np.argmax(counts))
    if counts[first] < 2:
        return ""
    group = [members[int(at)] for at in np.flatnonzero(near[first])]
    entries = [library.entries[at] for at in group]
    typed = check([library.adapter(at) for at in group[:2]], True).pairs[0].typed
    rank = max(entry.rank for entry in entries)
    how = ("--weights", "average", "--rank", str(rank), *typed.options, "-o", typed.out)
    return shlex.join(("superpose", "add", *(entry.given for entry in entries), *how))


def _called(adapter: Adapter, name: str) -> Adapter:
    return replace(adapter, name=name)
