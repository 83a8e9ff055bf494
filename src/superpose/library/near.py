"""Which adapters of a library are most like one: found by sketches, told exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from superpose.adapter import Adapter
from superpose.files import without_nan
from superpose.library.blocks import products, stacked
from superpose.library.opened import cosines_of_sketches
from superpose.library.query import Asked
from superpose.library.sketch import standard_error
from superpose.shown import Column, Framed, Line, Part, Shown, Table

_LOOKED_AT = 4
"""Candidates that are taken exactly, for each that is asked for."""

_ALIKE = 1e-4
"""Cosines that differ by less are not told apart by float32 products, with much to spare."""

_FAR = 0.99
"""Cosine up to which sqrt(1 - cosine^2) has lost nothing."""


@dataclass(frozen=True)
class Likeness:
    """What an adapter X of a library has to do with the one asked about, A; exact figures.

    cosine: of the deltas. scale: the c for which c X comes closest to A. difference: |A - c X| over
    |A|, right for copies too. shared: modules that both change. estimate, error: the cosine that
    the sketches gave, and its standard error.
    """

    name: str
    path: str
    cosine: float
    scale: float
    difference: float
    shared: int
    estimate: float
    error: float


COLUMNS = (
    Column("adapter", "name"),
    Column("cosine", "cosine", "+.4f"),
    Column("scale", "scale", ".4g"),
    Column("difference", "difference", ".2g"),
    Column("modules", "shared", "d"),
    Column("by sketch", "estimate", "+.3f"),
)


@dataclass(frozen=True)
class Neighbours(Framed, Shown):
    """The adapters that are most like one. asked: its name. among: how many were looked at.

    zero: it changes nothing, and none is like it.
    """

    TABLE: ClassVar[str] = "near"

    asked: str
    base: str
    among: int
    found: tuple[Likeness, ...]
    zero: bool = False

    @property
    def error(self) -> float:
        """The largest standard error of those listed; 0 for none."""
        return max((one.error for one in self.found), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Give what `superpose near --json` prints."""
        return {
            "asked": self.asked,
            "base": self.base,
            "among": self.among,
            "zero": self.zero,
            "near": [without_nan(vars(one)) for one in self.found],
        }

    def shown(self) -> tuple[Part, ...]:
        """Give them as a table, the nearest first."""
        if self.zero:
            return (Line("changes nothing, and so no adapter is like it.", self.asked),)
        if not self.found:
            lacks = "changes anything" if self.among else "is there"
            none = f"no other adapter of {self.base} in the library {lacks}."
            return (Line(none, f"{self.asked}:"),)
        said = (
            "The difference is |A - scale X| / |A|. Cosine, scale and difference are exact; which "
            f"adapters are looked at comes from sketches, whose cosines have a standard error of "
            f"about {self.error:.3f} here."
        )
        title = f"Nearest to {self.asked} among {self.among:,} of {self.base}"
        return (Table.of(title, COLUMNS, self.found, said),)


def nearest(asked: Asked, most: int = 10) -> Neighbours:
    """Give the `most` adapters whose cosine with the one asked about is largest in size.

    Four times as many are read, those that have the largest by their sketches: one whose cosine is
    within a few standard errors of the last that is listed may be missed. Of these float32 products
    tell which are listed, but for those it cannot tell apart.
    """
    if not asked.norm > 0.0:
        return Neighbours(asked.name, asked.base, len(asked.others), (), zero=True)
    others = [at for at in asked.others if asked.library.entries[at].norm > 0.0]
    rough = cosines_of_sketches(asked.library, asked.sketch, others)
    first = np.argsort(-np.abs(rough), kind="stable")[: _LOOKED_AT * most]
    sizes = _sizes(asked, [others[at] for at in first])
    least = np.sort(sizes)[-most:][:1] - _ALIKE
    found = [
        likeness(asked, others[at], float(rough[at]))
        for at, size in zip(first, sizes, strict=True)
        if size >= least
    ]
    found.sort(key=lambda one: -abs(one.cosine))
    return Neighbours(asked.name, asked.base, len(others), tuple(found[:most]))


def _sizes(asked: Asked, positions: Sequence[int]) -> Any:
    """Give the size of the cosine with each, from float32 products."""
    own = stacked([asked.adapter])
    cosines = [products(own, stacked([asked.library.adapter(at)])).cosine[0, 0] for at in positions]
    return np.abs(np.array(cosines))


def likeness(asked: Asked, at: int, estimate: float) -> Likeness:
    """Compare the one asked about with an adapter of the library, exactly."""
    library, entry = asked.library, asked.library.entries[at]
    cosine, scale, difference, shared = likeness_of(asked.adapter, library.adapter(at))
    error = standard_error(asked.sketch, library.sketches[at])
    return Likeness(
        library.names[at], entry.given, cosine, scale, difference, shared, estimate, error
    )


def likeness_of(a: Adapter, x: Adapter) -> tuple[float, float, float, int]:
    """Give the cosine of two adapters under one name, the best scale of the second, and the rest.

    That is |A - scale X| / |A|, from factors joined before they are squared so that copies are told
    to 1e-15, and the number of modules that both have. NaN beside a zero adapter.
    """
    both = sum(1 for key in a if key in x)
    norms = a.norm(), x.norm()
    if not min(norms) > 0.0:
        return math.nan, math.nan, math.nan, both
    cosine = a.cosine(x)
    scale = cosine * norms[0] / norms[1]
    if abs(cosine) < _FAR:
        return cosine, scale, math.sqrt(max(0.0, 1.0 - cosine * cosine)), both
    return cosine, scale, (a - scale * x).norm() / norms[0], both


def told_names(names: Sequence[str], most: int = 6) -> str:
    """Give names for a table's cell, the first of many."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
