"""Tensors in memory in place of a safetensors file: the same checks, and no file in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.files.header import Header, TensorEntry
from superpose.files.tensors import EIGHT_BITS, FLOATS, INTEGERS, TensorFile, check_finite

Array = NDArray[Any]

_NAMES = {ours: theirs for theirs, ours in (FLOATS | EIGHT_BITS | INTEGERS).items()}


@dataclass(frozen=True, eq=False)
class HeldTensors(TensorFile):
    """Tensors by the names that a file would have. None of them is copied or written to."""

    @classmethod
    def of(cls, tensors: Mapping[str, Array]) -> Self:
        """Give them as what a file announces; raises BadInput for a dtype that no adapter has."""
        entries: dict[str, TensorEntry] = {}
        at = 0
        for name, tensor in tensors.items():
            if tensor.dtype.name not in _NAMES:
                raise BadInput(
                    f"tensor `{name}` is {tensor.dtype.name}; factors are "
                    "float32, float16, bfloat16, float64 or float8"
                )
            entries[name] = TensorEntry(
                _NAMES[tensor.dtype.name], tensor.shape, at, at + tensor.nbytes
            )
            at += tensor.nbytes
        return cls(Header(entries, {}), (), dict(tensors))

    def read(self, *, integers: bool = False) -> Self:
        """Give the same tensors; raises BadInput as a file's `read`."""
        for name, tensor in self.tensors.items():
            if tensor.dtype.name not in INTEGERS.values():
                check_finite(name, tensor)
            elif not integers:
                raise BadInput(f"tensor `{name}` is {tensor.dtype.name}; factors are floats")
        return self


__all__ = ["HeldTensors"]
