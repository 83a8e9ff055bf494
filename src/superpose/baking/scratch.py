"""Buffers that one block after another uses: a fresh page costs more than what is done in it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Scratch:
    """Named buffers that grow to the largest array asked of them."""

    def __init__(self) -> None:
        self._held: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Give an array with any contents, in the memory of the last one of that name."""
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(size, np.uint8)
        array: Array = held[:size].view(kind).reshape(shape)
        return array
