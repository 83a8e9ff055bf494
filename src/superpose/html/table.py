"""A table and a heat map, with styles that any notebook keeps and either theme shows.

Text and lines have the theme's own colour; a shade is transparent, so that the number on it stays
readable on white and on black. Orange is above zero and blue below (Okabe and Ito's palette for
colour-blind readers, https://jfly.uni-koeln.de/color/); the sign is in the number as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from superpose.html.text import escaped, shortened

__all__ = ["Cell", "heat_map", "table"]

_ABOVE, _BELOW = "213,94,0", "0,114,178"
_STRONGEST = 0.55
_TABLE = "border-collapse:collapse;text-align:right;font-variant-numeric:tabular-nums"
_CAPTION = "caption-side:top;text-align:left;padding:.4em 0;color:inherit"
_LEFT = ' style="text-align:left"'


class Cell(NamedTuple):
    """A figure on a shade: -1 the strongest blue, 0 none, 1 the strongest orange."""

    text: str
    shade: float = 0.0


def table(
    caption: str,
    columns: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    texts: Collection[int] = (),
) -> str:
    """Give a table whose first column names the rows.

    caption: what the figures are. rows: as long as `columns`; a Cell has a shade. texts: positions
    of columns that hold sentences, which stand to the left and are not cut.
    """
    head = "".join(_head("col", title, _LEFT if at in (0, *texts) else "")
                   for at, title in enumerate(columns))  # fmt: skip
    body = "".join(
        f"<tr>{_head('row', row[0], _LEFT)}"
        + "".join(_cell(value, at in texts) for at, value in enumerate(row[1:], start=1))
        + "</tr>"
        for row in rows
    )
    return (
        f'<table style="{_TABLE}"><caption style="{_CAPTION}">{escaped(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def heat_map(
    caption: str,
    corner: str,
    rows: Sequence[object],
    columns: Sequence[object],
    values: Sequence[Sequence[float | None]],
    *,
    form: Callable[[float], str],
    shade: Callable[[float], float],
) -> str:
    """Give a table of shaded figures.

    corner: what the rows and columns are. values: by row and column; None where there is nothing to
    say, NaN for a figure that does not exist. form: how a figure is written. shade: of a figure,
    between -1 and 1 (see Cell).
    """

    def cell(value: float | None) -> Cell:
        if value is None or math.isnan(value):
            return Cell("" if value is None else "-")
        return Cell(form(value), shade(value))

    lines = [[name, *map(cell, of)] for name, of in zip(rows, values, strict=True)]
    return table(caption, [corner, *columns], lines)


def _head(scope: str, value: object, style: str) -> str:
    return f'<th scope="{scope}"{style}{_named(value)}</th>'


def _named(value: object) -> str:
    """Close a tag and write a name, whole in the tag's title where it is cut."""
    text, short = str(value), shortened(value)
    return f">{escaped(text)}" if short == text else f' title="{escaped(text)}">{escaped(short)}'


def _cell(value: object, sentence: bool) -> str:
    if isinstance(value, Cell):
        return f"<td{_shaded(value.shade)}>{escaped(value.text)}</td>"
    return f"<td{_LEFT}>{escaped(value)}</td>" if sentence else f"<td{_named(value)}</td>"


def _shaded(shade: float) -> str:
    strength = round(_STRONGEST * min(1.0, abs(shade)), 2)
    if not strength > 0.0:
        return ""
    return f' style="background:rgba({_ABOVE if shade > 0 else _BELOW},{strength})"'
