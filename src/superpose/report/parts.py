"""Parts of a result as a section of a page, one below the other: sentences, tables, heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from superpose.report.heat import Map, matrix
from superpose.report.page import Section
from superpose.report.tables import plain_table
from superpose.shown import Facts, Heat, Line, Part
from superpose.shown.words import typeset

__all__ = ["parts_section"]


def parts_section(key: str, title: str, parts: Sequence[Part]) -> Section:
    """Give a section that shows these parts. key: its anchor."""
    drawn = [_drawn(part, f"{key}-{at}") for at, part in enumerate(parts)]
    return Section(key, title, {"parts": drawn}, template="parts")


def _drawn(part: Part, key: str) -> dict[str, Any]:
    if isinstance(part, Line):
        return {"kind": "line", "strong": part.strong, "text": part.text}
    if isinstance(part, Facts):
        return {"kind": "facts", "facts": part.facts}
    if isinstance(part, Heat):
        return {"kind": "map", "map": _map(part, key)}
    return {"kind": "table", "table": plain_table(part), "remark": part.remark}


def _map(heat: Heat, key: str) -> Map:
    def value(row: int, column: int) -> tuple[float | None, str, None] | None:
        found = heat.values[row][column]
        if found is None:
            return None
        said = f"{typeset(heat.scale.text(found))}{heat.scale.unit}"
        return found, f"{heat.rows[row]} and {heat.columns[column]}: {said}", None

    return matrix(key, heat.title, heat.corner, (heat.rows, heat.columns), heat.scale, value)
