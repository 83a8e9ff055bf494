"""Heat maps: what a cell says, how strongly it is shaded, and where a module's cell lies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.shown import Scale
from superpose.shown.words import figure, typeset

__all__ = ["Map", "MapCell", "matrix", "modules_grid", "scale_json", "union_of_modules"]


def legend(scale: Scale) -> list[dict[str, Any]]:
    """Give the steps of a scale, each with its text and shade."""
    form = "+g" if scale.signed else "g"
    return [{"text": figure(step, form), "shade": scale.shade(step)} for step in scale.steps]


def scale_json(scale: Scale) -> dict[str, Any]:
    """Give what a script needs to shade and write figures itself."""
    return {
        "name": scale.name,
        "unit": scale.unit,
        "low": scale.low,
        "full": scale.full,
        "digits": int(str(scale.form).partition(".")[2][:1] or 0),
        "signed": scale.signed,
        "legend": legend(scale),
    }


@dataclass(frozen=True)
class MapCell:
    """A figure on a shade, with the sentence that tells it, and what is chosen by it (or None)."""

    text: str
    shade: float
    says: str
    pick: int | None


@dataclass(frozen=True)
class Map:
    """A table of cells. corner: what rows and columns are. cells: None where there is nothing."""

    key: str
    caption: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[MapCell | None, ...], ...]
    scale: Scale

    @property
    def legend(self) -> list[dict[str, Any]]:
        """The steps of its scale."""
        return legend(self.scale)


def matrix(
    key: str,
    caption: str,
    corner: str,
    names: tuple[Sequence[str], Sequence[str]],
    scale: Scale,
    value: Callable[[int, int], tuple[float | None, str, int | None] | None],
) -> Map:
    """Give a map of rows by columns.

    names: of the rows and of the columns. value: of a row and a column, the figure, the sentence
    that tells it, and the number of what is chosen by its cell, None for nothing; None where there
    is nothing at all.
    """

    def cell(row: int, column: int) -> MapCell | None:
        found = value(row, column)
        if found is None:
            return None
        return MapCell(typeset(scale.text(found[0])), scale.shade(found[0]), found[1], found[2])

    rows, columns = map(tuple, names)
    cells = tuple(tuple(cell(r, c) for c in range(len(columns))) for r in range(len(rows)))
    return Map(key, caption, corner, rows, columns, cells, scale)


_DOTTED = re.compile(r"(.*\.\d+)\.(.+)")
_UNDERSCORED = re.compile(r"(.*_\d+)_(.+)")


def modules_grid(names: Sequence[str]) -> dict[str, Any]:
    """Give where each module lies in a map with layers down and kinds of module across.

    A module's layer is its name through the last number in it, its kind what follows. Returns
    rows and columns (labels), and `at`: (row, column) of each name, in the order of `names`.
    """
    split = [_layer_and_kind(name) for name in names]
    layers = sorted({layer for layer, _ in split}, key=_natural)
    kinds = list(dict.fromkeys(kind for _, kind in split))
    row = {layer: at for at, layer in enumerate(layers)}
    column = {kind: at for at, kind in enumerate(kinds)}
    return {
        "rows": _labels(layers),
        "columns": kinds,
        "at": [[row[layer], column[kind]] for layer, kind in split],
        "names": list(names),
    }


def _layer_and_kind(name: str) -> tuple[str, str]:
    found = _DOTTED.fullmatch(name) or _UNDERSCORED.fullmatch(name)
    return (found[1], found[2]) if found else ("", name)


def _labels(layers: Sequence[str]) -> list[str]:
    """Give the layers' numbers alone where all are called alike, their names otherwise."""
    stems = {re.sub(r"\d+$", "", layer) for layer in layers if layer}
    stem = min(stems, default="")
    if len(stems) == 1 and not re.search(r"\d", stem):
        return [layer[len(stem) :] or "–" for layer in layers]
    return [layer or "–" for layer in layers]


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """A key by which layer 10 comes after layer 9."""
    parts = re.split(r"(\d+)", text)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def union_of_modules(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give every module's name that any of these has, in order of appearance."""
    return list(dict.fromkeys(name for modules in found for name in modules))
