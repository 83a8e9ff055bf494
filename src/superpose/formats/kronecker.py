"""LoKr: delta = w1 (x) w2, the Kronecker product of two matrices, each whole or of low rank.

Factors of a Kronecker product are the Kronecker products of the factors:
(b1 a1) (x) (b2 a2) = (b1 (x) b2) (a1 (x) a2). A whole side is itself times an identity on its
smaller side. Exact; the rank is the product of the two ranks.

Source: Yeh and others, Navigating Text-To-Image Customization, ICLR 2024 (arXiv 2309.14859); the
tensors are LyCORIS' (lycoris-lora 4.1.3, `modules/lokr.py`), sd-scripts' (`networks/lokr.py`) and
PEFT's (0.21.2, `tuners/lokr`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from superpose.errors import BadInput
from superpose.formats.expanded import (
    Array,
    Factors,
    Layout,
    Shape,
    exact,
    fits,
    from_dense,
    mode_products,
    needed,
    volume,
)

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


def kronecker_layout(shapes: Mapping[str, Shape]) -> Layout:
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
    return Layout((rows, columns), second.kernel, ranks.pop() if ranks else None, rank)


def kronecker_factors(tensors: Mapping[str, Array]) -> Factors:
    """Give one pair of factors with the same delta. tensors: by name, checked by the above."""
    first, second = _first_factors(tensors), _second_factors(tensors)
    rows = first.B.shape[0] * second.B.shape[0]
    columns = first.A.shape[1] * second.A.shape[1]
    if first.B.shape[1] * second.B.shape[1] > min(rows, columns):
        wide = [f.B.astype(np.float64) @ f.A.astype(np.float64) for f in (first, second)]
        return from_dense(np.kron(*wide))
    return Factors(np.kron(first.B, second.B), np.kron(first.A, second.A))


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


def _first_factors(tensors: Mapping[str, Array]) -> Factors:
    if "lokr_w1" in tensors:
        return from_dense(exact(tensors["lokr_w1"]))
    return Factors(exact(tensors["lokr_w1_a"]), exact(tensors["lokr_w1_b"]))


def _second_factors(tensors: Mapping[str, Array]) -> Factors:
    if "lokr_w2" in tensors:
        whole = exact(tensors["lokr_w2"])
        return from_dense(whole.reshape(whole.shape[0], -1))
    a, b = tensors["lokr_w2_a"], tensors["lokr_w2_b"]
    if "lokr_t2" in tensors:
        return mode_products(tensors["lokr_t2"], a, b)
    return Factors(exact(a), exact(b.reshape(b.shape[0], -1)))
