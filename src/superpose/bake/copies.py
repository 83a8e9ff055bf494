"""Base model's own tensors that lie beside an adapter: they must be this base model's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter
from superpose.bake.blocks import BLOCK
from superpose.errors import DifferentBase
from superpose.files.checkpoint import Checkpoint

_ROUNDING = 2.0**-8
"""What rounding to bfloat16 changes of a tensor at most, relative."""


def check_copies(checkpoint: Checkpoint, adapter: Adapter) -> None:
    """Compare the copies that PEFT saves of embeddings with the base model's own.

    PEFT puts such a copy in the place of the base's when it loads the adapter: with another one,
    as of a vocabulary that was resized, base and adapter do not belong together.

    Raises DifferentBase, naming the tensor.
    """
    for name, copy in adapter.copies.items():
        tensor = checkpoint.resolve(name)
        if tensor is None or not _alike(checkpoint, tensor, copy):
            raise DifferentBase(
                f"the adapter was saved with another `{name}` than the base model has",
                where=name,
                hint="Was the vocabulary resized before training? Bake onto the base model with "
                "the resized one, saved with save_pretrained.",
            )


def _alike(checkpoint: Checkpoint, tensor: str, copy: NDArray[Any]) -> bool:
    """Whether a copy is the base's tensor, up to the rounding of the coarser dtype."""
    shape = checkpoint.entry(tensor).shape
    if copy.shape != shape:
        return False
    step = max(1, BLOCK // max(int(np.prod(shape[1:])), 1))
    apart = size = 0.0
    for low in range(0, shape[0], step):
        own = checkpoint.read_rows(tensor, low, min(low + step, shape[0])).astype(np.float64)
        theirs = copy[low : low + step].astype(np.float64)
        apart += float(np.sum((own - theirs) ** 2))
        size += float(np.sum(own * own))
    return apart <= _ROUNDING**2 * size
