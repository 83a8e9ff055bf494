"""Parts as HTML, with styles that any notebook keeps and either theme shows.

Text and lines have the theme's own colour; a shade is transparent, so that the number on it stays
readable on white and on black. Orange is above zero and blue below (Okabe and Ito's palette for
colour-blind readers, https://jfly.uni-koeln.de/color/); the sign is in the number as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from superpose.shown.parts import Cell, Column, Facts, Heat, Line, Part, Table
from superpose.shown.text import escaped, shortened
from superpose.shown.words import true_minus

__all__ = ["notebook_html"]

_ABOVE, _BELOW = "213,94,0", "0,114,178"
_STRONGEST = 0.55
_TABLE = "border-collapse:collapse;text-align:right;font-variant-numeric:tabular-nums"
_CAPTION = "caption-side:top;text-align:left;padding:.4em 0;color:inherit"
_LEFT, _PROSE = "text-align:left", "white-space:pre-wrap"


def notebook_html(parts: Iterable[Part]) -> str:
    """Give what a notebook shows of parts, one below the other."""
    # Notebooks set what stands between dollars as a formula, in a name too, unless told.
    body = "".join(map(_part, parts))
    return f'<div class="superpose tex2jax_ignore mathjax_ignore">{body}</div>'


def _part(part: Part) -> str:
    if isinstance(part, Line):
        return _paragraph(part.text, part.strong)
    if isinstance(part, Facts):
        first, *others = part.facts
        return _paragraph("; ".join(f"{f.name} {f.text}" for f in others), f"{first.text}:")
    return _table(part.table if isinstance(part, Heat) else part)


def _paragraph(text: str, strong: str) -> str:
    bold = f"<strong>{escaped(true_minus(strong))}</strong> " if strong else ""
    return f'<p style="margin:.4em 0;max-width:60em">{bold}{escaped(true_minus(text))}</p>'


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_styled(_side(column))}{_named(column.title)}</th>'
        for column in table.columns
    )
    body = "".join(f"<tr>{''.join(_cells(table.columns, row))}</tr>" for row in table.rows)
    caption = ". ".join(filter(None, (table.title, table.remark.rstrip("."), table.shades)))
    return (
        f'<table style="{_TABLE}"><caption style="{_CAPTION}">{escaped(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cells(columns: tuple[Column, ...], row: tuple[Cell, ...]) -> Iterable[str]:
    for at, (column, cell) in enumerate(zip(columns, row, strict=True)):
        tag, scope = ("td", "") if at else ("th", ' scope="row"')
        text, beside = cell.text, true_minus(cell.beside)
        if column.figures:
            text = true_minus(text)
        text = f"{text} ({beside})" if beside else text
        said = f">{_lines(text)}" if column.prose else _named(text)
        yield f"<{tag}{scope}{_styled(_side(column), _shade(cell.shade))}{said}</{tag}>"


def _side(column: Column) -> str:
    return "" if column.figures else f"{_LEFT};{_PROSE}" if column.prose else _LEFT


def _lines(text: str) -> str:
    return "\n".join(map(escaped, text.split("\n")))


def _styled(*styles: str) -> str:
    told = ";".join(filter(None, styles))
    return f' style="{told}"' if told else ""


def _named(text: str) -> str:
    """Close a tag and write words, whole in the tag's title where one of them is cut."""
    short = " ".join(map(shortened, text.split(" ")))
    return f">{escaped(text)}" if short == text else f' title="{escaped(text)}">{escaped(short)}'


def _shade(shade: float) -> str:
    strength = round(_STRONGEST * min(1.0, abs(shade)), 2)
    if not strength > 0.0:
        return ""
    return f"background:rgba({_ABOVE if shade > 0 else _BELOW},{strength})"
