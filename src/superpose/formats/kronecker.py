"""LoKr: delta = w1 (x) w2, the Kronecker product of two matrices, each whole or of low rank.

Factors of a Kronecker product are the Kronecker products of the factors:
(b1 a1) (x) (b2 a2) = (b1 (x) b2) (a1 (x) a2). A whole side is itself times an identity on its
smaller side. Exact; the rank is the product of the two ranks. A real one's factors are thousands of
times its own numbers, so that they are formed where a file of factors is written, and not before.

Source: Yeh and others, Navigating Text-To-Image Customization, ICLR 2024 (arXiv 2309.14859); the
tensors are LyCORIS' (lycoris-lora 4.1.3, `modules/lokr.py`), sd-scripts' (`networks/lokr.py`) and
PEFT's (0.21.2, `tuners/lokr`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from superpose.errors import BadInput
from superpose.formats.expanded import (
    Array,
    ProductLayout,
    Shape,
    fits,
    mode_products,
    needed,
    volume,
)
from superpose.lowrank import Kronecker
from superpose.lowrank.kronecker import Side

KRONECKER = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
"""Names of a module's tensors: each side whole or in two factors, the second perhaps Tucker's."""


class _Side(NamedTuple):
    """rows, columns, kernel as flattened into the columns; rank: of its factors, None for whole."""

    rows: int
    columns: int
    kernel: Shape
    rank: int | None

    @property
    def factored(self) -> int:
        """The rank as factors: a whole side has its smaller side."""
        return min(self.rows, self.columns) if self.rank is None else self.rank


def kronecker_layout(shapes: Mapping[str, Shape]) -> ProductLayout:
    """Say what a module's tensors make. shapes: by their names, of KRONECKER.

    w1 (a, c), or w1_a (a, r) and w1_b (r, c). w2 (b, d, *kernel), or w2_a (b, r) and
    w2_b (r, d * kernel), (r, d, *kernel), or w2_a (r, b), w2_b (r, d), t2 (r, r, *kernel).
    Raises BadInput when one is missing or they do not belong together.
    """
    first, second = _first(shapes), _second(shapes)
    ranks = {side.rank for side in (first, second) if side.rank is not None}
    if len(ranks) > 1:
        raise BadInput(f"lokr_w1 has rank {first.rank} and lokr_w2 {second.rank}: alpha needs one")
    rows, columns = first.rows * second.rows, first.columns * second.columns
    rank = min(first.factored * second.factored, rows, columns)
    return ProductLayout((rows, columns), second.kernel, ranks.pop() if ranks else None, rank)


def kronecker_term(tensors: Mapping[str, Array], coefficient: float) -> Kronecker:
    """Give the delta as a term that is not formed. tensors: by name, checked by the above."""
    return Kronecker(coefficient, _first_side(tensors), _second_side(tensors))


def _first(shapes: Mapping[str, Shape]) -> _Side:
    if "lokr_w1" in shapes:
        fits(len(shapes["lokr_w1"]) == 2, shapes, "lokr_w1")
        rows, columns = shapes["lokr_w1"]
        return _Side(rows, columns, (), None)
    needed(shapes, "lokr_w1_a", "lokr_w1_b")
    return _product(shapes, "lokr_w1_a", "lokr_w1_b")


def _second(shapes: Mapping[str, Shape]) -> _Side:
    if "lokr_w2" in shapes:
        rows, *rest = shapes["lokr_w2"] or (0,)
        fits(1 <= len(rest) <= 4, shapes, "lokr_w2")
        return _Side(rows, volume(tuple(rest)), tuple(rest[1:]), None)
    needed(shapes, "lokr_w2_a", "lokr_w2_b")
    a, b, t = "lokr_w2_a", "lokr_w2_b", "lokr_t2"
    if t not in shapes:
        return _product(shapes, a, b)
    fits(len(shapes[a]) == len(shapes[b]) == 2 < len(shapes[t]) <= 5, shapes, a, b, t)
    fits(shapes[t][:2] == (shapes[a][0], shapes[b][0]), shapes, a, b, t)
    kernel = shapes[t][2:]
    return _Side(shapes[a][1], shapes[b][1] * volume(kernel), kernel, shapes[a][0])


def _product(shapes: Mapping[str, Shape], a: str, b: str) -> _Side:
    fits(len(shapes[a]) == 2 <= len(shapes[b]) <= 5, shapes, a, b)
    fits(shapes[a][1] == shapes[b][0], shapes, a, b)
    rank, *rest = shapes[b]
    return _Side(shapes[a][0], volume(tuple(rest)), tuple(rest[1:]), rank)


def _first_side(tensors: Mapping[str, Array]) -> Side:
    if "lokr_w1" in tensors:
        return (tensors["lokr_w1"],)
    return tensors["lokr_w1_a"], tensors["lokr_w1_b"]


def _second_side(tensors: Mapping[str, Array]) -> Side:
    if "lokr_w2" in tensors:
        whole = tensors["lokr_w2"]
        return (whole.reshape(whole.shape[0], -1),)
    a, b = tensors["lokr_w2_a"], tensors["lokr_w2_b"]
    if "lokr_t2" in tensors:
        return mode_products(tensors["lokr_t2"], a, b)
    return a, b.reshape(b.shape[0], -1)
