"""What a Hadamard or Kronecker product of factors is as one pair of LoRA factors, and its size.

Shared by the files that hold such products: PEFT folders of type LOHA and LOKR, and LyCORIS files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, Refused
from superpose.lowrank import MOST_OF_ONE, Hadamard, Unformed, formed, is_unformed

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]

MOST_OF_ALL = 1 << 27
"""Entries of the expanded factors of a small file: 1 GB in float64."""

SMALL_RANK = 256
"""Up to this product of its ranks the figures of a LoHa come from factors, which are at most 32
times its file (float32 factors of float16); above, from its rows, formed a few at a time."""

MOST_A_BYTE = 8
"""Entries for each byte that is stored, of a large file."""


class ProductLayout(NamedTuple):
    """One module's product, as its shapes tell before anything is computed.

    shape: (out_features, columns), the kernel flattened into the columns. kernel: of a convolution,
    () where the tensors do not tell. rank: that alpha is divided by; None where both sides are
    whole and there is none. expanded: rank of the LoRA factors.
    """

    shape: tuple[int, int]
    kernel: Shape
    rank: int | None
    expanded: int

    @property
    def entries(self) -> int:
        """Of the expanded factors together."""
        return self.expanded * sum(self.shape)


class Factors(NamedTuple):
    """B (out_features, rank), A (rank, columns) with delta = B @ A."""

    B: Array
    A: Array


def small_formed(deltas: Mapping[str, Delta], stored: int) -> dict[str, Delta]:
    """Give the deltas of a file with the factors of each small LoHa formed, unless that is much.

    Figures of a LoHa of small rank are quicker from its factors; those of larger ones come from
    its rows, and a LoKr's from its sides. stored: bytes of the file's tensors.
    """
    small = {key: d for key, d in deltas.items() if _is_small(d)}
    if not _fits([_entries(d) for d in small.values()], stored):
        return dict(deltas)
    quick = {key: replace(d, terms=formed(d.terms)) for key, d in small.items()}
    return {**deltas, **quick}


def _is_small(delta: Delta) -> bool:
    first = delta.terms[0]
    return isinstance(first, Hadamard) and first.rank <= SMALL_RANK


def with_factors(adapter: Adapter) -> Adapter:
    """Give the adapter with the factors of every product formed, as a file of factors wants it.

    Raises Refused, with the size, when they would not fit into memory.
    """
    products = {key: d for key, d in adapter.items() if is_unformed(d.terms)}
    if not products:
        return adapter
    _check_size(adapter, products)
    formed_ones = {key: replace(d, terms=formed(d.terms)) for key, d in products.items()}
    return replace(adapter, deltas={**adapter.deltas, **formed_ones})


def size_of_factors(adapter: Adapter) -> int:
    """Give the bytes, in float64, of the factors that an adapter's products would have."""
    return 8 * sum(map(_entries, adapter.values()))


def _check_size(adapter: Adapter, products: Mapping[str, Delta]) -> None:
    """Raise Refused when the factors of these would not fit: a few numbers can mean many."""
    total = sum(map(_entries, products.values()))
    largest = max(products, key=lambda key: _entries(products[key]))
    held = sum(x.nbytes for d in products.values() for t in d.terms for x in t.arrays)
    if not _fits([_entries(d) for d in products.values()], held):
        raise Refused(
            f"its {len(products):,} LoHa or LoKr modules are {total * 8 / 1e9:,.1f} GB as LoRA "
            f"factors, the largest `{largest}` of rank {products[largest].rank:,}",
            where=adapter.label,
            hint="Write its best approximation of a rank, which is found without forming them: "
            "--rank 64 (in Python: adapter.compress(64)).",
        )


def _fits(entries: Sequence[int], stored: int) -> bool:
    most = max(MOST_OF_ALL, MOST_A_BYTE * stored)
    return sum(entries) <= most and max(entries, default=0) <= MOST_OF_ONE


def _entries(delta: Delta) -> int:
    return sum(term.entries for term in delta.terms if isinstance(term, Unformed))


def mode_products(core: Array, outputs: Array, inputs: Array) -> Factors:
    """Give a Tucker product as factors of the flattened weight.

    core (r1, r2, *kernel), outputs (r1, out), inputs (r2, in): the weight is
    sum_ij core[i, j] * outputs[i] x inputs[j], (out, in, *kernel). Returns B = outputs^T and
    A (r1, in * prod(kernel)), in float64.
    """
    wide = core.astype(np.float64)
    A = np.tensordot(wide, inputs.astype(np.float64), axes=(1, 0))  # (r1, *kernel, in)
    A = np.moveaxis(A, -1, 1)
    return Factors(outputs.astype(np.float64).T, A.reshape(A.shape[0], -1))


def needed(shapes: Mapping[str, Shape], *names: str) -> None:
    """Raise BadInput when one of these tensors of a module is missing."""
    for name in names:
        if name not in shapes:
            present = ", ".join(sorted(shapes))
            raise BadInput(f"tensor `{name}` is missing beside {present}")


def fits(condition: bool, shapes: Mapping[str, Shape], *names: str) -> None:
    """Raise BadInput, with the shapes of these tensors, unless the condition holds."""
    if not condition or any(0 in shapes[name] for name in names):
        listed = ", ".join(f"`{name}` {shapes[name]}" for name in names)
        raise BadInput(f"tensors {listed} do not belong together")


def volume(kernel: Shape) -> int:
    """Give how many positions a kernel has."""
    return math.prod(kernel)
