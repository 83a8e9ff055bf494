"""What a Hadamard or Kronecker product of factors is as one pair of LoRA factors.

Shared by the files that hold such products: PEFT folders of type LOHA and LOKR, and LyCORIS files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput, Refused

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]

MOST_OF_ONE = 1 << 25
"""Entries of one module's expanded factors: 268 MB in float64, twice a large UNet's largest."""

MOST_OF_ALL = 1 << 27
"""Entries of the expanded factors of a small file: 1 GB in float64."""

MOST_A_BYTE = 8
"""Entries for each byte that is stored, of a large file."""


class Layout(NamedTuple):
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


def check_size(layouts: Mapping[str, Layout], stored: int, where: object) -> None:
    """Raise Refused when the expanded factors of a file would not fit: a few numbers can mean many.

    layouts: by module. stored: bytes of the file's tensors. where: the file, for the message.
    """
    if not layouts:
        return
    total = sum(layout.entries for layout in layouts.values())
    largest = max(layouts, key=lambda module: layouts[module].entries)
    most = max(MOST_OF_ALL, MOST_A_BYTE * stored)
    if total > most or layouts[largest].entries > MOST_OF_ONE:
        raise Refused(
            f"its {len(layouts):,} LoHa or LoKr modules are {total * 8 / 1e9:,.1f} GB as LoRA "
            f"factors, the largest `{largest}` of rank {layouts[largest].expanded:,}",
            where=where,
            hint="Merge it into the base model with the tool that made it, and take the difference "
            "with a rank: superpose extract BASE MERGED --rank 64",
        )


def exact(x: Array) -> Array:
    """Give x in the narrowest dtype in which a product of two of its values is exact.

    float16: float32, since 11 + 11 bits fit into 24; everything else: float64.
    """
    return x.astype(np.float32 if x.dtype.name == "float16" else np.float64)


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


def from_dense(weight: Array) -> Factors:
    """Give a dense delta (out, columns) as factors: itself and an identity on its smaller side."""
    rows, columns = weight.shape
    if rows <= columns:
        return Factors(np.eye(rows, dtype=weight.dtype), weight)
    return Factors(weight, np.eye(columns, dtype=weight.dtype))


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
