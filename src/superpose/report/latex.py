"""A table of a result as LaTeX: a tabular of booktabs, and a longtable where it is long."""

from __future__ import annotations

from superpose.shown import Cell, Table
from superpose.shown.text import visible

__all__ = ["latex_table", "latex_text"]

LONG = 40
"""Rows from which a table breaks over pages."""

_SIGNS = {
    "\\": r"\textbackslash{}",
    **{sign: rf"\{sign}" for sign in "#$%&_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\u2212": "$-$",
    "\u00b1": r"$\pm$",
    "\u00d7": r"$\times$",
    "\u00b7": r"$\cdot$",
    "\u00a0": "~",
    "\u201c": "``",
    "\u201d": "''",
    "\u2019": "'",
}
"""What LaTeX would take for something else, or its fonts may lack."""


def latex_text(text: str) -> str:
    """Give a text as LaTeX sets it; of a figure, its minus sign too. Controls are escapes."""
    text = visible(text)
    minus = "$-$" if text[:1] == "-" and text[1:2].isdigit() else ""
    return minus + "".join(_SIGNS.get(letter, letter) for letter in text[1 if minus else 0 :])


def latex_table(table: Table) -> str:
    r"""Give a table that `\input` takes: title and remark are comments, for a caption.

    Words stand to the left and figures to the right; an interval follows its figure in brackets, a
    column of its own, so that both are aligned.
    """
    wide = [
        column.figures and any(row[k].beside for row in table.rows)
        for k, column in enumerate(table.columns)
    ]
    spec = "".join(
        "r@{ }l" if both else "r" if column.figures else "l"
        for column, both in zip(table.columns, wide, strict=True)
    )
    heads = [
        _over_two(column.title) if both else latex_text(column.title)
        for column, both in zip(table.columns, wide, strict=True)
    ]
    rows = [
        [part for cell, both in zip(row, wide, strict=True) for part in _parts(cell, both)]
        for row in table.rows
    ]
    name = "longtable" if len(rows) > LONG else "tabular"
    lines = [
        *(f"% {visible(text)}" for text in (table.title, table.remark) if text),
        rf"% \usepackage{{booktabs{',longtable' if name == 'longtable' else ''}}}",
        rf"\begin{{{name}}}{{{spec}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *([r"\endhead"] if name == "longtable" else []),
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        rf"\end{{{name}}}",
    ]
    return "\n".join(lines) + "\n"


def _over_two(title: str) -> str:
    return rf"\multicolumn{{2}}{{c}}{{{latex_text(title)}}}"


def _parts(cell: Cell, both: bool) -> list[str]:
    text = latex_text(cell.text)
    if not both:
        return [text]
    ends = ", ".join(map(latex_text, cell.beside.split(" to ")))
    return [text, f"[{ends}]" if ends else ""]
