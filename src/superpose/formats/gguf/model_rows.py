"""The rows of a GGUF model's tensors: the base's, the change, what is written, what is lost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.files.precision import one_up_to_rounding
from superpose.files.tensors import opened, read_bytes
from superpose.formats.gguf.header import GgufHeader
from superpose.formats.gguf.model_plan import NewGgufTensor
from superpose.formats.gguf.values import packed, type_of, unpacked
from superpose.lowrank import stack

Array = NDArray[Any]

BLOCK = 1 << 20
"""Values in a block."""


@dataclass
class Rounded:
    """Squares of all that was added, and of what rounding took of it."""

    added: float = 0.0
    off: float = 0.0

    def lost(self) -> float | None:
        """Give the one relative to the other; None where nothing was added."""
        return math.sqrt(self.off / self.added) if self.added else None


class _Product:
    """An addend made ready: L @ R, added to rows from `at` on."""

    def __init__(self, delta: Any, at: int, transposed: bool, dtype: str) -> None:
        term = stack(delta.terms, dtype)
        L, R = (term.A.T, term.B.T) if transposed else (term.B, term.A)
        self.L, self.R, self.at = L, np.ascontiguousarray(R), at

    def add(self, begin: int, end: int, out: Array) -> None:
        """Add to rows begin to end, which `out` holds."""
        low, high = max(begin, self.at), min(end, self.at + len(self.L))
        if low < high:
            out[low - begin : high - begin] += self.L[low - self.at : high - self.at] @ self.R


def new_blocks(
    file: BinaryIO, header: GgufHeader, tensor: NewGgufTensor, rounded: Rounded
) -> Iterator[Array]:
    """Give a changed tensor's new bytes, a block of rows at a time.

    Raises BadInput for a value that is not finite, or would not be in its type.
    """
    stored = tensor.stored
    wide = "float64" if stored.name == "float64" else "float32"
    products = [_Product(a.delta, a.at, a.transposed, wide) for a in tensor.addends]
    for begin, end, raw in _raw_blocks(file, header, tensor):
        base = unpacked(raw, stored, tensor.columns)
        change = np.zeros(base.shape, base.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for product in products:
                product.add(begin, end, change)
            new = base + change
        written = packed(new, tensor.type)
        there = unpacked(written.reshape(-1), tensor.type, tensor.columns)
        if not np.isfinite(there).all():
            raise BadInput(f"tensor `{tensor.name}` would hold a value beyond {tensor.type.name}")
        rounded.added += float(np.square(change, dtype=np.float64).sum())
        rounded.off += float(np.square(there - new, dtype=np.float64).sum())
        yield written


def ends_early(tensor: str) -> str:
    """Say that a file ends within a tensor."""
    return f"truncated: tensor `{tensor}` goes on behind the file's end"


def _raw_blocks(
    file: BinaryIO, header: GgufHeader, tensor: NewGgufTensor
) -> Iterator[tuple[int, int, Array]]:
    width = tensor.stored.row_bytes(tensor.columns)
    step = max(1, BLOCK // tensor.columns)
    for begin in range(0, tensor.rows, step):
        end = min(begin + step, tensor.rows)
        file.seek(header.data + header.tensors[tensor.source].offset + begin * width)
        yield begin, end, read_bytes(file, (end - begin) * width, ends_early(tensor.source))


def holds_copy(path: Path, header: GgufHeader, name: str, copy: Array) -> bool:
    """Whether a tensor of the model has a copy's shape and, unless quantised, its values."""
    found = header.tensors[name]
    kind = type_of(found.type)
    if found.shape != copy.shape:
        return False
    if not kind.plain:
        return True
    tensor = NewGgufTensor(name, name, found.shape, kind, kind, ())

    def both() -> Iterator[tuple[Array, Array]]:
        with opened(path) as file:
            for begin, end, raw in _raw_blocks(file, header, tensor):
                yield unpacked(raw, kind, tensor.columns), copy[begin:end]

    return one_up_to_rounding(both)
