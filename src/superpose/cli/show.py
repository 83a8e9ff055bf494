"""What a result shows, for the terminal. Figures are never cut: names give way, then columns.

A table that is too wide breaks its figures before their brackets, then its words; one that still
is goes on below, with its names again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table as RichTable
from rich.text import Text

from superpose.cli.text import one_line, visible_in_terminal
from superpose.shown import Cell, Column, Facts, Heat, Line, Part, Table

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["show", "tables"]

LEAST_WORDS, LEAST_TITLE = 12, 10
"""Columns of the terminal that words, and the words of a title, are not narrowed below."""


def show(parts: Iterable[Part], console: Console) -> None:
    """Print what a result shows."""
    for part in parts:
        if isinstance(part, Line):
            strong = (f"{one_line(part.strong)} ", "bold") if part.strong else ""
            console.print(Text.assemble(strong, one_line(part.text)), soft_wrap=part.whole)
        elif isinstance(part, Facts):
            for fact in part.facts:
                # Not in a table: it would cut a long path.
                said = f"{fact.name:16}{one_line(fact.here or fact.text)}"
                console.print(said, markup=False, highlight=False, soft_wrap=True)
        elif (table := part.listed if isinstance(part, Heat) else part) is not None:
            console.print(Text(one_line(table.title), style="bold"))
            for at, drawn in enumerate(tables(table, console.width)):
                console.print(*([""] if at else []), drawn)
            console.print(Text(one_line(table.remark)), end="\n\n" if table.remark else "\n")


def tables(table: Table, room: int) -> list[RichTable]:
    """Give a table as one that rich prints, or as several where `room` is too little for one."""
    needs = [
        _Need(column, [row[at] for row in table.rows]) for at, column in enumerate(table.columns)
    ]
    blocks = _blocks(needs, room)
    return [_drawn(table, [needs[at] for at in block], block, room) for block in blocks]


class _Need:
    """The room that a column needs.

    widths: of figures with the title on one line and with its words below each other, the same with
    figures broken before their bracket, and with the title's words broken too. Of words: whole,
    and given way.
    """

    def __init__(self, column: Column, cells: Sequence[Cell]) -> None:
        title = one_line(column.title)
        word = max(map(cell_len, title.split()), default=0)
        whole, piece = (_longest(_text(column, cell, by) for cell in cells) for by in (" ", "\n"))
        self.figures = column.figures
        if column.figures:
            titles = (cell_len(title), word, cell_len(title), word, min(word, LEAST_TITLE))
            self.widths = tuple(map(max, titles, (whole, whole, piece, piece, piece)))
        else:
            whole = max(whole, cell_len(title))
            self.widths = (whole, min(whole, LEAST_WORDS))

    @property
    def least(self) -> int:
        """The narrowest that it may become."""
        return self.widths[-1]


def _text(column: Column, cell: Cell, by: str) -> str:
    """Give a cell's text. by: what stands between a figure and its bracket."""
    text = visible_in_terminal(cell.text) if column.prose else one_line(cell.text)
    return f"{text}{by}({one_line(cell.beside)})" if cell.beside else text


def _longest(texts: Iterable[str]) -> int:
    """Give the width of the longest line of some texts."""
    return max((cell_len(line) for text in texts for line in text.split("\n")), default=0)


def _width(widths: Iterable[int]) -> int:
    """Give the width of a table of columns: two of padding each, and one between."""
    widths = list(widths)
    return sum(widths) + 3 * len(widths) - 1


def _blocks(needs: Sequence[_Need], room: int) -> list[list[int]]:
    """Share columns among as many tables as they need, each beginning with those that name rows."""
    heads = list(itertools.takewhile(lambda at: not needs[at].figures, range(len(needs))))
    blocks: list[list[int]] = [[]]
    for at in range(len(heads), len(needs)):
        wanted = [needs[k].least for k in (*heads, *blocks[-1], at)]
        if blocks[-1] and _width(wanted) > room:
            blocks.append([])
        blocks[-1].append(at)
    return [[*heads, *block] for block in blocks]


def _drawn(table: Table, needs: Sequence[_Need], block: Sequence[int], room: int) -> RichTable:
    widths, broken = _widths(needs, room)
    apart = int(any(table.columns[at].prose for at in block))
    drawn = RichTable(box=SIMPLE_HEAD, padding=(0, 1), leading=apart, show_edge=False)
    for at, width in zip(block, widths, strict=True):
        column = table.columns[at]
        drawn.add_column(
            Text(one_line(column.title)),
            justify="right" if column.figures else "left",
            overflow="fold",
            width=width,
        )
    for row in table.rows:
        by = "\n" if broken else " "
        drawn.add_row(*(Text(_text(table.columns[at], row[at], by)) for at in block))
    return drawn


def _widths(needs: Sequence[_Need], room: int) -> tuple[list[int], bool]:
    """Give each column's width, and whether figures are broken: titles break first, words last."""
    for step in range(5):
        widths = [need.widths[step if need.figures else 0] for need in needs]
        if _width(widths) <= room:
            return widths, step > 1
    while _width(widths) > room:
        over = [w if w > need.least else 0 for w, need in zip(widths, needs, strict=True)]
        if not any(over):
            break
        widths[over.index(max(over))] -= 1
    return widths, True
