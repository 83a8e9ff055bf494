"""The base model's own tensors that PEFT saves beside an adapter: whether several hold the same.

PEFT saves embedding and output layer where LoRA is on them or where the vocabulary was resized, and
puts them in the place of the base's when it loads the adapter.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from superpose.errors import DifferentBase, SuperposeWarning

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter


def check_copies_agree(adapters: Sequence[Adapter]) -> None:
    """Raise DifferentBase where two adapters hold different copies of one tensor of the base."""
    first: dict[str, Adapter] = {}
    for adapter in adapters:
        for name, tensor in adapter.copies.items():
            other = first.setdefault(name, adapter)
            if other is adapter:
                continue
            before = other.copies[name]
            if before.shape != tensor.shape or not close(before, tensor):
                raise DifferentBase(
                    f"the base model's `{name}` is another one in {other.label} "
                    f"{_size(before, tensor)}and {adapter.label}",
                    where=name,
                    hint="Was a vocabulary resized, or one trained on another base model? PEFT "
                    "would overwrite the one with the other.",
                )


def without_differing(adapters: Sequence[Adapter]) -> Sequence[Adapter]:
    """Give the adapters without their copies where these differ, for who compares deltas alone.

    It is said with a SuperposeWarning.
    """
    try:
        check_copies_agree(adapters)
    except DifferentBase as error:
        warnings.warn(
            f"{error.problem}; the deltas alone are compared", SuperposeWarning, stacklevel=3
        )
        return [replace(adapter, copies={}) for adapter in adapters]
    return adapters


def close(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two tensors are one, up to the rounding of the coarser dtype."""
    coarse = any(t.dtype.name in ("bfloat16", "float16") for t in (x, y)) and x.dtype != y.dtype
    x, y = x.astype(np.float64), y.astype(np.float64)
    if not coarse:
        return bool(np.array_equal(x, y))
    return bool(np.linalg.norm(x - y) <= 2.0**-8 * np.linalg.norm(x))


def _size(x: np.ndarray, y: np.ndarray) -> str:
    """Give the vocabularies where they differ."""
    return "" if len(x) == len(y) else f"({len(x)} rows, and {len(y)}) "


__all__ = ["check_copies_agree", "close", "without_differing"]
