"""How a table is laid out in the columns of a terminal. Names give way, figures never.

Where a table is too wide, adapters of its sums are numbered, the beginning that all module names
have alike is said once, titles are broken at words, figures before their brackets, then words; one
that still is too wide goes on below, with its names again, and where not even one figure fits
beside the names, each row is a list.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table as RichTable
from rich.text import Text

from superpose.cli.folding import folded, longest_piece, longest_word
from superpose.cli.text import one_line, visible_in_terminal
from superpose.shown import Cell, Column, Table

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["fits_whole", "laid_out", "numbers_of", "with_numbers"]

LEAST_WORDS, MOST_WHOLE, LEAST_TITLE = 12, 20, 14
"""Columns of the terminal that words are not narrowed below, that the longest piece of a name
keeps where there is room, and that a title's words are not broken within."""

ALIKE = 8
"""Characters that all names of a column must begin with alike to be said once."""

Numbers: TypeAlias = Mapping[str, int]


def fits_whole(table: Table, room: int) -> bool:
    """Say whether a table fits with its names whole."""
    needs = _needs(table, room)
    return _width(need.widths[1 if need.figures else 0] for need in needs) <= room


def numbers_of(tables: Iterable[Table]) -> dict[str, int]:
    """Number the adapters of the tables' sums, from 1 on, in the order of the sum of all.

    Where there is no such sum, in the order in which they come.
    """
    sums = [cell.names for table in tables for row in table.rows for cell in row if cell.names]
    names = dict.fromkeys(name for one in sums for name in one)
    ordered = next((one for one in sums if len(one) == len(names)), names)
    return {name: at for at, name in enumerate(ordered, start=1)}


def with_numbers(table: Table, numbers: Numbers) -> Table:
    """Give a table with numbers for its sums: `1 + 2`, and `1 math` for one adapter alone."""

    def cell(found: Cell) -> Cell:
        if not found.names:
            return found
        several = " + ".join(str(numbers[name]) for name in found.names)
        text = several if len(found.names) > 1 else f"{several} {found.names[0]}"
        return found._replace(text=text)

    return replace(table, rows=tuple(tuple(map(cell, row)) for row in table.rows))


def laid_out(table: Table, room: int) -> list[RenderableType]:
    """Give a table as one that rich prints, or as several where `room` is too little for one."""
    if not fits_whole(table, room):
        table = _without_beginnings(table)
    needs = _needs(table, room)
    blocks = _blocks(needs, room)
    if any(_width(needs[at].least for at in block) > room for block in blocks):
        return [_listed(table, room)]
    return [_block(table, [needs[at] for at in block], block, room) for block in blocks]


class _Need:
    """The room that a column needs.

    widths: of figures with the title on one line and with its words below each other, the same with
    figures broken before their bracket, and with the title's words broken too. Of words: whole,
    and given way.
    """

    def __init__(self, column: Column, cells: Sequence[Cell], room: int) -> None:
        title = one_line(column.title)
        word = longest_word(title)
        whole, piece = (_longest(_text(column, cell, by) for cell in cells) for by in (" ", "\n"))
        self.figures = column.figures
        if column.figures:
            broken = min(longest_piece(title), LEAST_TITLE)
            titles = (cell_len(title), word, cell_len(title), word, broken)
            self.widths = tuple(map(max, titles, (whole, whole, piece, piece, piece)))
        else:
            pieces = max(longest_piece(_text(column, cell, " ")) for cell in (*cells, Cell(title)))
            whole = max(whole, cell_len(title))
            least = max(LEAST_WORDS, min(pieces, MOST_WHOLE, room // 3))
            self.widths = (whole, min(whole, least))

    @property
    def least(self) -> int:
        """The narrowest that it may become."""
        return self.widths[-1]


def _needs(table: Table, room: int) -> list[_Need]:
    return [
        _Need(column, [row[at] for row in table.rows], room)
        for at, column in enumerate(table.columns)
    ]


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


def _without_beginnings(table: Table) -> Table:
    """Give a table whose names of modules stand without what all of a column begin with alike."""
    columns, rows = list(table.columns), [list(row) for row in table.rows]
    for at, column in enumerate(columns):
        names = [row[at].text for row in rows]
        alike = "" if column.figures or column.prose else _alike(names)
        if len(alike) >= ALIKE:
            columns[at] = replace(column, title=f"{column.title}, all of {alike.rstrip('._/')}")
            for row in rows:
                row[at] = row[at]._replace(text=row[at].text[len(alike) :])
    return replace(table, columns=tuple(columns), rows=tuple(map(tuple, rows)))


def _alike(names: Sequence[str]) -> str:
    """Give what names of one word begin with alike, up to one of their joints; nothing of one."""
    if len(set(names)) < 2 or any(" " in name for name in names):
        return ""
    first, last = min(names), max(names)
    same = next(
        at for at, (a, b) in enumerate(zip(f"{first} ", f"{last}  ", strict=False)) if a != b
    )
    joint = re.match(r".*[._/]", first[:same])
    return joint[0] if joint else ""


def _blocks(needs: Sequence[_Need], room: int) -> list[list[int]]:
    """Share columns among as many tables as they need, each beginning with those that name rows.

    Each has as many figures as the others, where that fits.
    """
    heads = list(itertools.takewhile(lambda at: not needs[at].figures, range(len(needs))))
    others = range(len(heads), len(needs))
    blocks: list[list[int]] = [[]]
    for at in others:
        wanted = [needs[k].least for k in (*heads, *blocks[-1], at)]
        if blocks[-1] and _width(wanted) > room:
            blocks.append([])
        blocks[-1].append(at)
    each = -(-len(others) // len(blocks))
    even = [list(others[start : start + each]) for start in range(0, len(others), each or 1)]
    if all(_width(needs[k].least for k in (*heads, *block)) <= room for block in even):
        blocks = even or blocks
    return [[*heads, *block] for block in blocks]


def _block(table: Table, needs: Sequence[_Need], block: Sequence[int], room: int) -> RichTable:
    widths, broken = _widths(needs, room)
    apart = int(any(table.columns[at].prose for at in block))
    found = RichTable(box=SIMPLE_HEAD, padding=(0, 1), leading=apart, show_edge=False)
    columns = [table.columns[at] for at in block]
    for column, width in zip(columns, widths, strict=True):
        found.add_column(
            Text(folded(one_line(column.title), width)),
            justify="right" if column.figures else "left",
            overflow="fold",
            width=width,
        )
    for row in table.rows:
        texts = (_text(table.columns[at], row[at], "\n" if broken else " ") for at in block)
        found.add_row(
            *(
                Text(text if column.figures or column.prose else folded(text, width))
                for text, column, width in zip(texts, columns, widths, strict=True)
            )
        )
    return found


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


def _listed(table: Table, room: int) -> Text:
    """Give each row as a list of its figures, below what names it; first what the names are.

    An empty name is that of the row above.
    """
    heads = list(itertools.takewhile(lambda column: not column.figures, table.columns))
    lines = [folded(", ".join(one_line(column.title) for column in heads), room)]
    names = [""] * len(heads)
    for row in table.rows:
        words = [_text(column, cell, " ") for column, cell in zip(heads, row, strict=False)]
        names = [word or above for word, above in zip(words, names, strict=True)]
        lines.append(folded(", ".join(filter(None, names)), room))
        for at in range(len(heads), len(row)):
            lines.append(_item(table.columns[at], row[at], room))
    return Text("\n".join(lines), no_wrap=True, overflow="ignore")


def _item(column: Column, cell: Cell, room: int) -> str:
    """Give `  title: figure`, below each other where that is too long."""
    title = one_line(column.title)
    said = f"  {title}: {_text(column, cell, ' ')}"
    if cell_len(said) <= room:
        return said
    below = _text(column, cell, "\n") if column.figures else folded(cell.text, room - 2)
    lines = (*folded(f"{title}:", room - 2).split("\n"), *below.split("\n"))
    return "\n".join(f"  {line}" for line in lines)
