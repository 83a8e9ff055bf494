"""A table that a page sorts, whose differences are coloured, and that can be taken as CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from superpose.report.texts import change, csv_text

__all__ = ["Column", "DataTable", "Difference", "Entry", "difference", "text_entry"]

FULL = 40.0
"""Change in per cent from which the shade of a difference is strongest."""


@dataclass(frozen=True)
class Column:
    """A column. numeric: figures, to the right. note: what stands below its title."""

    title: str
    numeric: bool = True
    note: str = ""


@dataclass(frozen=True)
class Difference:
    """How far a figure is from a reference: a text with its direction, and a shade (-1 to 1).

    ends: what stands below it, its interval or deviation.
    """

    text: str
    shade: float
    ends: str = ""


@dataclass(frozen=True)
class Entry:
    """One cell. sort: what it is sorted by; None comes last. differences: one a reference."""

    text: str
    sort: float | str | None
    note: str = ""
    differences: tuple[Difference | None, ...] = ()


@dataclass(frozen=True)
class DataTable:
    """Rows of entries, as long as `columns`.

    key: its name in the page. heads: how many columns at the left name the row. references: what
    differences are against, the first shown at the start. csv: columns and rows of the file that
    the reader can take along, called `file`.
    """

    key: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Entry]]
    file: str
    csv: tuple[Sequence[str], Sequence[Sequence[object]]]
    heads: int = 1
    references: tuple[str, ...] = field(default=())

    def data(self) -> dict[str, Any]:
        """Give what the scripts need of it."""
        return {"csv": csv_text(*self.csv), "file": self.file}


def text_entry(text: str) -> Entry:
    """Give a cell of words."""
    return Entry(text, text.casefold())


def difference(percent: float | None, ends: str = "") -> Difference | None:
    """Give a change of perplexity in per cent: more is orange and ▲, less is blue and ▼."""
    if percent is None or not math.isfinite(percent):
        return None
    shade = max(-1.0, min(1.0, percent / FULL))
    return Difference(change(percent), round(shade, 3), ends)
