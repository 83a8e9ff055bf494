"""Tables as CSV, which no spreadsheet takes for anything else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from superpose.shown.frame import rows_of_table
from superpose.shown.text import visible

__all__ = ["csv_of", "csv_text"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")
"""What a spreadsheet takes for the beginning of a formula."""

_KEPT = "\t\n"
"""Of an answer's own lines."""


def csv_of(found: Mapping[str, Any], main: str) -> str:
    """Give a result's main table with the columns that `to_frame()` has; several values by `;`."""
    rows = list(rows_of_table(found, main))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return csv_text(columns, ([_field(row.get(name)) for name in columns] for row in rows))


class _Figures(str):
    """Figures by `;`, which no spreadsheet takes for a formula, whatever sign they begin with."""


def _field(value: object) -> object:
    if not isinstance(value, tuple):
        return value
    text = ";".join(map(str, value))
    return _Figures(text) if all(isinstance(one, int | float) for one in value) else text


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Give a table as CSV. A text that a spreadsheet would take for a formula gets a quote before.

    Characters that control a terminal, or that reorder the text, are escapes, as in all tables.

    None is an empty field. A line ends in a line feed alone, since `visible` keeps no other.
    """
    heard = io.StringIO()
    writer = csv.writer(heard, lineterminator="\n")
    for row in (columns, *rows):
        writer.writerow([_guarded(value) for value in row])
    return heard.getvalue()


def _guarded(value: object) -> object:
    if isinstance(value, str):
        formula = type(value) is str and value.startswith(_FORMULA)
        return ("'" if formula else "") + visible(value, keep=_KEPT)
    return value
