"""Heat maps: what a cell says, how strongly it is shaded, and where a module's cell lies."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
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
    """Give where each module lies in maps with layers down and kinds of module across.

    A module's layer is its name through the last number in it that tells layers apart, its kind
    what follows. Layers that have no kind in common, as a text encoder's and a U-Net's, have maps
    of their own; modules without a layer lie in the largest. Returns the maps in order of
    appearance: rows and columns (labels), and a corner that says what the rows are of; and `at`:
    (map, row, column) of each name, in the order of `names`.
    """
    split = _without_lone_parts([_layer_and_kind(name) for name in names])
    blocks = _blocks(split)
    block_of = {kind: at for at, (_, kinds) in enumerate(blocks) for kind in kinds}
    row_of = [{layer: at for at, layer in enumerate(layers)} for layers, _ in blocks]
    column_of = [{kind: at for at, kind in enumerate(kinds)} for _, kinds in blocks]
    at = [(block_of[kind], layer, kind) for layer, kind in split]
    return {
        "maps": [
            dict(zip(("corner", "rows"), _labels(layers, len(blocks)), strict=True))
            | {"columns": _shortened(kinds)}
            for layers, kinds in blocks
        ],
        "at": [[block, row_of[block][layer], column_of[block][kind]] for block, layer, kind in at],
        "names": list(names),
    }


def _blocks(split: Sequence[tuple[str, str]]) -> list[tuple[list[str], list[str]]]:
    """Give layers and kinds in as many groups as can be told apart by having no kind in common."""
    layers_of: dict[str, set[str]] = {}
    for layer, kind in split:
        layers_of.setdefault(kind, set()).add(layer)
    blocks: list[tuple[set[str], list[str]]] = []
    for kind, layers in layers_of.items():
        meets = [block for block in blocks if block[0] & (layers - {""})]
        joined = (set().union(layers, *(of for of, _ in meets)), [k for _, ks in meets for k in ks])
        at = blocks.index(meets[0]) if meets else len(blocks)
        blocks = [block for block in blocks if block not in meets]
        blocks.insert(at, (joined[0], [*joined[1], kind]))
    alone = [block for block in blocks if block[0] == {""}]
    if alone and len(alone) < len(blocks):  # modules without a layer
        blocks = [block for block in blocks if block not in alone]
        largest = max(blocks, key=lambda block: len(block[0]) * len(block[1]))
        largest[0].add("")
        largest[1].extend(kind for _, kinds in alone for kind in kinds)
    elif alone:
        blocks = [({""}, [kind for _, kinds in blocks for kind in kinds])]
    return [(sorted(layers, key=_natural), kinds) for layers, kinds in blocks]


def _layer_and_kind(name: str) -> tuple[str, str]:
    found = _DOTTED.fullmatch(name) or _UNDERSCORED.fullmatch(name)
    return (found[1], found[2]) if found else ("", name)


def _without_lone_parts(split: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Let a layer inside of another be a part of its kinds, where none has two of them.

    `ff_net_0` of every block is no layer of its own, and `experts_0` beside `experts_1` is one.
    """
    layers = {layer for layer, _ in split}
    outer = {layer: _outer(layer, layers) for layer in layers}
    inside: dict[str, set[str]] = {}
    for layer, around in outer.items():
        part = layer[len(around) :]
        inside.setdefault(re.sub(r"\d+", "", part), set()).add(part)
    found = []
    for layer, kind in split:
        around = outer[layer]
        while around and len(inside[re.sub(r"\d+", "", layer[len(around) :])]) == 1:
            part = layer[len(around) :]
            layer, kind = around, f"{part[1:]}{part[0]}{kind}"
            around = outer[layer]
        found.append((layer, kind))
    return found


def _outer(layer: str, layers: Collection[str]) -> str:
    """Give the longest of these layers that one lies in; nothing for one that lies in none."""
    joints = [found.start() for found in re.finditer(r"[._]", layer)]
    return next((layer[:at] for at in reversed(joints) if layer[:at] in layers), "")


def _labels(layers: Sequence[str], maps: int) -> tuple[str, list[str]]:
    """Give what a map's rows are of, and what tells each from the others.

    That is the layer's number alone where all are called alike, else the name without what all
    begin with, up to one of its joints.
    """
    named = [layer for layer in layers if layer]
    stems = {re.sub(r"\d+$", "", layer) for layer in named}
    stem = min(stems, default="")
    if len(stems) != 1 or re.search(r"\d", stem):
        joints = [re.findall(r".*?[._]", layer) for layer in named] if len(named) > 1 else []
        alike = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*joints, strict=False))
        stem = "".join(parts[0] for parts in alike)
    numbers = all(layer[len(stem) :].isdigit() for layer in named)
    corner = "layer" if not stem or (numbers and maps == 1) else f"{stem.rstrip('._')} …"
    return corner, [layer[len(stem) :] or "–" for layer in layers]


def _shortened(kinds: Sequence[str]) -> list[str]:
    """Give kinds of module without what most of them begin with, in whose place stands `…`."""
    starts = [re.findall(r".*?[._]", kind) for kind in kinds]
    most: list[str] = []
    for depth in range(1, 1 + max(map(len, starts), default=0)):
        counts = Counter("".join(parts[:depth]) for parts in starts if len(parts) >= depth)
        start, count = counts.most_common(1)[0]
        if count < 3 or 2 * count <= len(kinds):
            break
        most.append(start)
    start = most[-1] if most else ""
    if len(start) < 12:  # `self_attn.` takes no room worth having
        return list(kinds)
    return [f"…{kind[len(start) :]}" if kind.startswith(start) else kind for kind in kinds]


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """A key by which layer 10 comes after layer 9."""
    parts = re.split(r"(\d+)", text)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def union_of_modules(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give every module's name that any of these has, in order of appearance."""
    return list(dict.fromkeys(name for modules in found for name in modules))
