"""Which adapters of a library one adapter is a sum of: the answer, and the proof of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from superpose.adapter import Adapter
from superpose.files import without_nan
from superpose.library.equations import unkept
from superpose.library.query import Asked
from superpose.library.sparse import FLOOR, solved
from superpose.library.unmixing import Search, searched
from superpose.shown import Column, Framed, Line, Part, Shown, Table
from superpose.shown.words import counted

Array: TypeAlias = Any

Tell: TypeAlias = Callable[[float, float | None, str], None]

_SUM = "the sum"

_AS_GOOD = 1.05
"""Times the error up to which another adapter in a parent's place explains the target as well."""

_ROUNDING = {"float64": 1e-12, "float32": 1e-6, "float16": 1e-3, "bfloat16": 6e-3}
"""What rounding both factors does to a delta at most, of its size, in a file of this dtype."""


@dataclass(frozen=True)
class FoundParent:
    """One parent. weight: as in `superpose add`; weight_low, weight_high: an interval for it.

    energy: |weight dW|^2 over the target's. alternatives: that explain the target as well in its
    place, copies of it among them.
    """

    name: str
    path: str
    weight: float
    weight_low: float
    weight_high: float
    energy: float
    alternatives: tuple[str, ...]


_COLUMNS = (
    Column("parent", "name"),
    Column("weight", "weight", "+.4f", ("weight_low", "weight_high"), "an interval"),
    Column("energy", "energy", ".1%"),
    Column("or as well", lambda one: ", ".join(one.alternatives) or None),
)


@dataclass(frozen=True)
class Unmixed(Framed, Shown):
    """What one adapter is a sum of.

    explained: share of the target's energy, in the equations of its own sides. complete: what is
    left is no more than rounding. difference: |target - sum| / |target|, of the sum of the parents
    or, `of`, its best approximation of the target's rank. among: adapters of the base in the
    library, but for the target. read: how many were taken exactly. stored_count: tensors of the
    target that are in no figure. indexed: the target is an adapter of the library itself. zero: it
    changes nothing.
    """

    TABLE: ClassVar[str] = "parents"

    asked: str
    base: str
    among: int
    read: int
    parents: tuple[FoundParent, ...]
    explained: float
    complete: bool
    difference: float
    of: str
    stored_count: int
    indexed: bool = False
    zero: bool = False

    @property
    def verdict(self) -> str:
        """The answer in a sentence."""
        if self.zero:
            return "changes nothing, and so there is nothing to take apart."
        if not self.among:
            return f"is the only adapter of {self.base} in this library: no other can be a part."
        if not self.parents and self.indexed:
            return f"is in this library itself, and none of {self.among:,} others is a part of it."
        if not self.parents:
            return f"not from this library: none of {self.among:,} adapters is a part of it."
        one = len(self.parents) == 1
        if self.complete and one:
            cut = "" if self.of == _SUM else f"{self.of.removesuffix(_SUM)}"
            return f"is {cut}this one times its weight, to rounding."
        if self.complete:
            return f"is {self.of} of these {len(self.parents)}, to rounding."
        return (
            f"holds {'this one' if one else f'these {len(self.parents)}'}, and "
            f"{1.0 - self.explained:.2%} of its energy is not from this library."
        )

    def to_json(self) -> dict[str, Any]:
        """Give what `superpose unmix --json` prints."""
        parents = [without_nan(vars(parent)) for parent in self.parents]
        return {**vars(self), "parents": parents, "verdict": self.verdict}

    def shown(self) -> tuple[Part, ...]:
        """Give the parents, the verdict and the proof."""
        parts: list[Part] = []
        if self.parents:
            said = "Energy is |weight dW|^2 over that of the whole; parents that agree share some."
            parts.append(Table.of(f"Parents of {self.asked}", _COLUMNS, self.parents, said))
        parts.append(Line(self.verdict, self.asked))
        if self.parents:
            parts.append(
                Line(
                    f"to {self.of} of the parents at these weights is {self.difference:.2g} of its "
                    f"norm; they explain {self.explained:.4%} of its energy.",
                    "The difference",
                )
            )
        if self.stored_count:
            parts.append(
                Line(
                    f"It also holds {counted(self.stored_count, 'tensor')} whole, in none of this."
                )
            )
        return tuple(parts)


def unmixed(asked: Asked, progress: Tell | None = None) -> Unmixed:
    """Say which adapters of a library the one asked about is a sum of, and prove it."""
    if not asked.norm > 0.0:
        return _answer(asked, None, (), 0.0)
    search = searched(asked, progress)
    weights, spread = search.told()
    units = asked.norm / np.array([asked.library.entries[at].norm for at in search.parents])
    found = []
    for n, at in enumerate(search.parents):
        weight, half = weights[n] * units[n], spread[n] * units[n]
        found.append(
            FoundParent(
                asked.library.names[at], asked.library.entries[at].given, float(weight),
                float(weight - half), float(weight + half),
                float(weights[n] ** 2), _alternatives(search, n),
            )
        )  # fmt: skip
    found.sort(key=lambda parent: -parent.energy)
    return _answer(asked, search, tuple(found), 1.0 - search.chosen.error / 2.0)


def _answer(
    asked: Asked, search: Search | None, found: tuple[FoundParent, ...], explained: float
) -> Unmixed:
    read = 0 if search is None else len(search.read)
    complete = bool(found) and 1.0 - explained <= _allowed(asked, found)
    difference, of = math.nan, _SUM
    if search is not None and found:
        difference, of = _proof(asked, search)
    return Unmixed(
        asked.name, asked.base, len(asked.others), read, found, explained, complete, difference, of,
        asked.stored, asked.position is not None, search is None,
    )  # fmt: skip


def _alternatives(search: Search, n: int) -> tuple[str, ...]:
    """Give what explains the target as well in the place of a parent."""
    chosen, equations, found = search.chosen, search.equations, []
    for other in range(len(search.read)):
        if other not in chosen.parents:
            swapped = chosen.parents.copy()
            swapped[n] = other
            error = solved(equations.gram, equations.right, swapped).error
            if error <= max(_AS_GOOD * chosen.error, 8.0 * FLOOR):
                found.append(search.asked.library.names[search.read[other]])
    return tuple(found)


def _allowed(asked: Asked, found: tuple[FoundParent, ...]) -> float:
    """Give the share of energy that rounding may have left unexplained.

    Rounding goes by the size of the factors: of parents that cancel it is more of the sum. Of what
    was extracted from a model, that the model's own rounding makes a full matrix: of this a rank-k
    approximation keeps no more than four times its even share (Marchenko and Pastur 1967).
    """
    names = {dtype for delta in asked.adapter.values() for dtype in delta.stored}
    rounding = max(_ROUNDING.get(name, 0.1) for name in names)
    sizes = 1.0 + math.fsum(parent.energy for parent in found)
    noise = 0.0
    if left := unkept(asked.adapter):
        shares = [d.rank / max(1, min(d.shape) - d.rank) for d in asked.adapter.values()]
        noise = 4.0 * max(shares) * left
    return rounding**2 * sizes + min(noise, 0.2)


def _proof(asked: Asked, search: Search) -> tuple[float, str]:
    """Compare the target with the parents' sum, formed exactly, or with its best of that rank."""
    library, target = asked.library, asked.adapter
    total: Adapter | None = None
    for at, weight in zip(search.parents, search.told()[0], strict=True):
        entry = library.entries[at]
        part = float(weight) * asked.norm / entry.norm * library.adapter(at)
        total = part if total is None else total + part
    assert total is not None
    target, total = target.on_base(None), total.on_base(None)
    whole = (target - total).norm() / asked.norm
    if total.rank <= target.rank:
        return whole, _SUM
    cut = (target - total.compress(target.rank)).norm() / asked.norm
    approximation = f"the best rank-{target.rank} approximation of {_SUM}"
    return (cut, approximation) if cut < whole else (whole, _SUM)
