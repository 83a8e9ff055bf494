"""A table that a page sorts, whose differences are coloured, and that can be taken as CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from superpose.landscape.adding_up import KEPT, Share, share_text
from superpose.report.page import Section
from superpose.report.texts import change_text
from superpose.shown import Cell, Scale, Table
from superpose.shown.csv_table import csv_text
from superpose.shown.words import typeset

__all__ = ["GAIN", "DataTable", "Entry", "ShadedChange", "difference", "gain_kept", "plain_table"]

CHANGE = Scale("change of perplexity, in nats", "", 0.01, math.log(100), "+.2f")
"""Shades of a difference, logarithmic: none below 1 %, and +34 % is not +8,000 %."""


GAIN = "the gain that is kept"
"""What a figure is held against by the measure of the verdict."""

_LOST = Scale("of the gain lost", "", 1 - KEPT, 1.0, ".0f")
"""Shades of what is lost: none where a sum adds up, strongest where nothing is left."""


@dataclass(frozen=True)
class ShadedChange:
    """How far a figure is from a reference: a text with its direction, and a shade (-1 to 1).

    ends: what stands below it, its interval or deviation.
    """

    text: str
    shade: float
    ends: str = ""


Changes: TypeAlias = Sequence[Sequence[ShadedChange | None]]


@dataclass(frozen=True)
class Entry:
    """One cell. sort: what it is sorted by; None comes last. differences: one a reference."""

    text: str
    sort: float | str | None
    note: str = ""
    differences: tuple[ShadedChange | None, ...] = ()


@dataclass(frozen=True)
class DataTable:
    """A table of a result, with what a page does to it.

    key: its name in the page. file, csv: what the reader can take along: columns and rows. changes:
    by reference, of each row and figure; the first is shown at the start. heads: how many columns
    at the left name the row.
    """

    key: str
    table: Table
    file: str
    csv: tuple[Sequence[str], Sequence[Sequence[object]]]
    changes: Mapping[str, Changes] = field(default_factory=dict)
    heads: int = 1

    @property
    def rows(self) -> list[list[Entry]]:
        """The cells as a page writes them."""
        rows = []
        for at, row in enumerate(self.table.rows):
            against = iter(zip(*(of[at] for of in self.changes.values()), strict=True))
            rows.append(
                [
                    _entry(cell, next(against, ())) if column.figures else _words(cell.text)
                    for cell, column in zip(row, self.table.columns, strict=True)
                ]
            )
        return rows

    def section(
        self, title: str, left_out: str = "", *, anchor: str = "table", folded: str = ""
    ) -> Section:
        """Give a section that is this table.

        left_out: what is not in it, in words. anchor: of its own where it is not the page's main
        table. folded: what it is folded behind, if it is.
        """
        values = {"table": self, "left_out": left_out, "folded": folded}
        data = {"tables": {self.key: self.data()}}
        return Section(anchor, title, values, data, template="predicted")

    def data(self) -> dict[str, Any]:
        """Give what the scripts need of it."""
        return {"csv": csv_text(*self.csv), "file": self.file}


def plain_table(table: Table) -> dict[str, Any]:
    """Give a table that nothing is done with, for a verdict."""
    return {
        "caption": ". ".join(filter(None, (table.title, table.shades))),
        "columns": [column.title for column in table.columns],
        "prose": [column.prose for column in table.columns],
        "rows": [[_text(cell) for cell in row] for row in table.rows],
        "shades": [[cell.shade for cell in row] for row in table.rows],
    }


def _text(cell: Cell) -> str:
    """Give a cell's text with what stands in brackets behind it; names stay as they are."""
    if cell.beside:
        return f"{typeset(cell.text)} ({typeset(cell.beside)})"
    return cell.text if isinstance(cell.value, str) else typeset(cell.text)


def _entry(cell: Cell, differences: tuple[ShadedChange | None, ...]) -> Entry:
    return Entry(typeset(cell.text), cell.value, typeset(cell.beside), differences)


def _words(text: str) -> Entry:
    return Entry(text, text.casefold())


def difference(
    percent: float | None, ends: str = "", *, coloured: bool = True
) -> ShadedChange | None:
    """Give a change of perplexity in per cent: more is orange and ▲, less is blue and ▼.

    coloured: not where it is the base's, of which every adapter is far: that would be a bar of
    colour that says nothing of a sum.
    """
    if percent is None or not math.isfinite(percent):
        return None
    nats = math.log1p(max(percent, -99.9999) / 100)
    shade = CHANGE.shade(nats) if coloured else 0.0
    return ShadedChange(change_text(percent), round(shade, 3), ends)


def gain_kept(share: Share) -> ShadedChange | None:
    """Give the share of the own adapter's gain that is left, as the verdict counts it."""
    if share.kept is None:
        return None
    text, _, ends = share_text(share).partition(" (")
    shade = 0.0 if share.kept >= KEPT else _LOST.shade(1 - share.kept)
    return ShadedChange(text.replace(" %", "\u00a0% kept"), round(shade, 3), ends.rstrip(")"))
