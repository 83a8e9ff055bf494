"""What one basis for several adapters costs each of them, and what it takes on the disk."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from superpose.adapter import Adapter
from superpose.adapter.one_basis import BasisMember, OneBasis
from superpose.files import without_nan
from superpose.files.tensors import numpy_dtype
from superpose.lowrank import norm
from superpose.shown import Column, Framed, Line, Part, Shown, Table
from superpose.shown.words import counted
from superpose.verbs.told import size

if TYPE_CHECKING:
    from superpose.formats.shared_form.rounding import SharedForm

__all__ = ["Bytes", "Compressed", "CompressedAdapter", "CompressedModule", "compressed_adapters"]


@dataclass(frozen=True)
class CompressedModule:
    """One target module of one adapter.

    rank: of what is written. basis: the rank of the basis; None for what is in none. error:
    |written - dW| / |dW|, NaN where dW is zero. alone: the least error that any delta of `rank`
    has (Eckart and Young), None in no basis.
    """

    name: str
    rank: int
    basis: int | None
    error: float
    alone: float | None


@dataclass(frozen=True)
class CompressedAdapter:
    """One adapter. output: its name in the folder.

    own: how many deltas, and stored tensors, are in no basis and kept whole. before: the rank that
    it had. made: in words, how what is written was made.

    error: |written - adapter| / |adapter| over all deltas, rounding included, from the factors; NaN
    for an adapter of zeros. alone: the error of its best approximation by itself where every
    adapter takes the same rank and all together as many bytes as bases and cores; None where that
    is less than rank 1.
    """

    name: str
    path: str | None
    output: str
    rank: int
    before: int
    error: float
    alone: float | None
    own: tuple[int, int]
    made: str
    modules: tuple[CompressedModule, ...]

    @property
    def worst(self) -> CompressedModule | None:
        """The module with the largest error."""
        known = [module for module in self.modules if not math.isnan(module.error)]
        return max(known, key=lambda module: module.error, default=None)


class Bytes(NamedTuple):
    """Lengths of files. given: of the adapters' weights, None where one is in memory alone.

    ordinary, shared: of both forms, whether they were written or not.
    """

    given: int | None
    ordinary: int
    shared: int


_COLUMNS = (
    Column("adapter", "name"),
    Column("rank", lambda one: f"{one.before} to {one.rank}"),
    Column("error", "error", ".2%"),
    Column("alone, same bytes", "alone", ".2%"),
    Column("its worst module", lambda one: _worst(one)),
)


@dataclass(frozen=True, eq=False)
class Compressed(Framed, Shown):
    """Several adapters in one basis.

    out: where they were written, None in memory. form: both, ordinary or shared. ranks: of the
    basis of each module. alone_rank: that `CompressedAdapter.alone` is of. shared: the bases, the
    cores and the ordinary adapters.
    """

    TABLE: ClassVar[str] = "adapters"

    out: Path | None
    form: str
    adapters: tuple[CompressedAdapter, ...]
    ranks: Mapping[str, int]
    alone_rank: int
    bytes: Bytes
    shared: SharedForm

    @property
    def ordinary(self) -> tuple[Adapter, ...]:
        """The adapters as they are written."""
        return tuple(member.adapter for member in self.shared.members)

    def to_json(self) -> dict[str, Any]:
        """Give what `superpose compress --json` prints."""
        adapters = [
            {**vars(one), "own": {"delta_count": one.own[0], "stored_count": one.own[1]},
             "modules": [vars(module) for module in one.modules]}
            for one in self.adapters
        ]  # fmt: skip
        told = {
            "output": None if self.out is None else str(self.out),
            "form": self.form,
            "adapters": adapters,
            "ranks": dict(self.ranks),
            "alone_rank": self.alone_rank,
            "bytes": self.bytes._asdict(),
        }
        return cast("dict[str, Any]", without_nan(told))

    def write_report(self, folder: Path) -> None:
        """Write all figures into the folder that becomes `out`."""
        from superpose.verbs.adapter_folders import REPORT

        text = json.dumps(self.to_json(), indent=2, ensure_ascii=True, allow_nan=False)
        (folder / REPORT).write_text(text + "\n", encoding="utf-8")

    def shown(self) -> tuple[Part, ...]:
        """Give each adapter's error, what lies in no basis, and the bytes."""
        said = (
            "Error is |written - dW| over |dW|, of all modules, rounding included. Alone: the best "
            f"approximation of each by itself, at rank {self.alone_rank}, which takes as many "
            "bytes as bases and cores."
        )
        parts: list[Part] = [] if self.out is None else [Line(str(self.out), "wrote", whole=True)]
        parts.append(Table.of("In one basis", _COLUMNS, self.adapters, said))
        if self.ranks:
            low, high = min(self.ranks.values()), max(self.ranks.values())
            span = str(high) if low == high else f"{low} to {high}"
            parts.append(Line(f"of rank {span} in {counted(len(self.ranks), 'module')}.", "Bases"))
        if own := [one for one in self.adapters if any(one.own)]:
            kept = "; ".join(f"{one.name}: {_own(one)}" for one in own[:10])
            more = f"; {len(own) - 10} more" if len(own) > 10 else ""
            parts.append(Line(f"{kept}{more}.", "In no basis, kept whole:"))
        parts += [Line(self._on_disk(), "On the disk:")]
        return tuple(parts)

    def _on_disk(self) -> str:
        given, ordinary, shared = self.bytes
        both = f"{size(ordinary)} as ordinary adapters, {size(shared)} as the shared form"
        if given is None:
            return f"{both}."
        first, second = _saved(given, ordinary), _saved(given, shared)
        return f"{size(given)} given; {both}: {first}, and {second}."


def compressed_adapters(
    parts: Sequence[Adapter], basis: OneBasis, form: SharedForm, names: Sequence[str]
) -> tuple[tuple[CompressedAdapter, ...], int]:
    """Measure what became of every adapter, from the factors; also the rank that `alone` is of."""
    alone = _alone_rank(basis, form)
    found = []
    for part, member, stored, name in zip(parts, basis.members, form.members, names, strict=True):
        modules, lost, whole = _modules(member, stored.adapter, basis)
        found.append(
            CompressedAdapter(
                part.name, part.path, name, stored.adapter.rank, part.rank,
                lost / whole if whole > 0.0 else math.nan,
                _alone_error(member, alone, whole) if alone and whole > 0.0 else None,
                (len(modules) - len(member.cores) - len(member.zeros), len(part.replacements)),
                str(stored.adapter.made), modules,
            )
        )  # fmt: skip
    return tuple(found), alone


def _modules(
    member: BasisMember, written: Adapter, basis: OneBasis
) -> tuple[tuple[CompressedModule, ...], float, float]:
    """Give each module's figures, and the norms of what is lost and of the whole."""
    modules, lost, whole = [], [], []
    for key, delta in member.adapter.items():
        after = written[key]
        (term,) = after.terms
        whole.append(norm(delta.terms))
        lost.append(norm((*delta.terms, term.with_coefficient(-1.0))))
        error = lost[-1] / whole[-1] if whole[-1] > 0.0 else math.nan
        sizes = member.sizes.get(key)
        alone = None if sizes is None else _tail(sizes, after.rank) / (whole[-1] or math.nan)
        rank = len(basis.modules[key].inputs) if key in member.cores else None
        modules.append(CompressedModule(key, after.rank, rank, error, alone))
    return tuple(modules), math.hypot(*lost), math.hypot(*whole)


def _alone_rank(basis: OneBasis, form: SharedForm) -> int:
    """Give the largest rank of every adapter by itself that takes no more than bases and cores."""
    bases = [x.nbytes for module in form.modules.values() for x in module]
    cores = [
        x.nbytes
        for member in form.members
        for core in member.cores.values()
        for x in core
        if x is not None
    ]
    room, taken, rank = sum(bases) + sum(cores), 0, 0
    ranks = [
        (len(sizes), sum(member.adapter[key].shape) * numpy_dtype(stored.dtype).itemsize)
        for member, stored in zip(basis.members, form.members, strict=True)
        for key, sizes in member.sizes.items()
    ]
    most = max((own for own, _ in ranks), default=0)
    while rank < most:
        taken += sum(each for own, each in ranks if own > rank)
        if taken > room:
            break
        rank += 1
    return rank


def _alone_error(member: BasisMember, rank: int, whole: float) -> float:
    return math.hypot(*(_tail(sizes, rank) for sizes in member.sizes.values())) / (
        whole or math.nan
    )


def _tail(sizes: Any, rank: int) -> float:
    """Give the norm of the singular values beyond a rank."""
    return math.hypot(*map(float, sizes[rank:]))


def _worst(one: CompressedAdapter) -> str | None:
    return None if one.worst is None else f"{one.worst.name} ({one.worst.error:.2%})"


def _own(one: CompressedAdapter) -> str:
    deltas, stored = one.own
    said = [counted(deltas, "delta")] if deltas else []
    return " and ".join([*said, *([counted(stored, "stored tensor")] if stored else [])])


def _saved(given: int, now: int) -> str:
    share = abs(given - now) / given if given else 0.0
    return f"{share:.0%} {'more' if now > given else 'less'}"
