"""LoHa: delta = (w1_a w1_b) o (w2_a w2_b), the entrywise product of two low-rank matrices.

It is itself of low rank, r1 * r2, exact: `lowrank.hadamard`.

Source: Hyeon-Woo, Ye-Bin, Oh, FedPara, ICLR 2022 (arXiv 2108.06098), propositions 1 and 3; the
tensors are LyCORIS' (lycoris-lora 4.1.3, `modules/loha.py`) and PEFT's (0.21.2, `tuners/loha`).
"""

from __future__ import annotations

from collections.abc import Mapping

from superpose.formats.expanded import (
    Array,
    ProductLayout,
    Shape,
    fits,
    mode_products,
    needed,
    volume,
)
from superpose.lowrank import Hadamard

HADAMARD = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")
"""Names of a module's tensors; t1 and t2, of a convolution, together or not at all."""


def hadamard_layout(shapes: Mapping[str, Shape]) -> ProductLayout:
    """Say what a module's tensors make. shapes: by their names, of HADAMARD.

    Plain: w_a (out, r), w_b (r, columns). Tucker: w_a (r, out), w_b (r, in), t (r, r, *kernel).
    Raises BadInput when one is missing or they do not belong together.
    """
    needed(shapes, *HADAMARD[:4])
    tucker = bool(shapes.keys() & set(HADAMARD[4:]))
    if tucker:
        needed(shapes, *HADAMARD[4:])
    halves = [_half(shapes, n, tucker) for n in "12"]
    (rows, columns, kernel, r1), (*other, r2) = halves
    fits([rows, columns, kernel] == other, shapes, *HADAMARD[:4])
    rank = min(r1 * r2, rows, columns)
    return ProductLayout((rows, columns), kernel, shapes["hada_w1_b"][0], rank)


def hadamard_term(tensors: Mapping[str, Array], coefficient: float) -> Hadamard:
    """Give the delta as a term that is not formed. tensors: by name, checked by the above."""
    return Hadamard(coefficient, _half_factors(tensors, "1"), _half_factors(tensors, "2"))


def _half(shapes: Mapping[str, Shape], n: str, tucker: bool) -> tuple[int, int, Shape, int]:
    """Give rows, columns, kernel and rank of one of the two products."""
    a, b, t = f"hada_w{n}_a", f"hada_w{n}_b", f"hada_t{n}"
    fits(len(shapes[a]) == len(shapes[b]) == 2, shapes, a, b)
    if not tucker:
        fits(shapes[a][1] == shapes[b][0], shapes, a, b)
        return shapes[a][0], shapes[b][1], (), shapes[b][0]
    r1, r2 = shapes[a][0], shapes[b][0]
    fits(2 < len(shapes[t]) <= 5 and shapes[t][:2] == (r1, r2), shapes, a, b, t)
    kernel = shapes[t][2:]
    return shapes[a][1], shapes[b][1] * volume(kernel), kernel, r1


def _half_factors(tensors: Mapping[str, Array], n: str) -> tuple[Array, Array]:
    a, b = tensors[f"hada_w{n}_a"], tensors[f"hada_w{n}_b"]
    if f"hada_t{n}" in tensors:
        return mode_products(tensors[f"hada_t{n}"], a, b)
    return a, b
