"""Deltas of modules that are stored whole, worked into the stored tensors.

One adapter of a sum has factors for the output layer, another stores it whole: the sum is a stored
tensor, T + dW, which a PEFT adapter holds where it cannot hold the two.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import (
    Adapter,
    Delta,
    Part,
    Place,
    Replacement,
    Stored,
    enclosed,
    place_of,
    unpooled,
    untied,
)
from superpose.errors import DifferentBase, Refused
from superpose.files.checkpoint import Checkpoint
from superpose.lowrank import Term, dense, formed, upcast
from superpose.names.stored import end_of

Array = NDArray[Any]


def worked_in(adapter: Adapter, base: Checkpoint) -> Adapter:
    """Give the adapter without deltas of modules that it stores whole: those tensors hold them.

    Its stored tensors need no base any more (`OnBase`). Raises Refused for a stack of experts,
    whose way round only bake tells; DifferentBase when shapes differ, or the base lacks a tensor.
    """
    owners = enclosed(untied(adapter))
    if not owners:
        return adapter
    if owners.keys() & {*adapter.tied, *adapter.tied.values()}:
        adapter = untied(adapter)
    done = dict(adapter.replacements)
    for key, owner in owners.items():
        delta = adapter[key]
        place = place_of(key, delta.place)
        stored = done.get(place.tensor) or _of_base(place.tensor, owner, base)
        value = stored.value() + _as_stored(delta, key, place, stored.shape, base)
        wide = "float64" in stored.stored | delta.stored
        part = Part(1.0, Stored(value if wide else value.astype(np.float32)))
        done[place.tensor] = replace(stored, parts=(part,))
    deltas = {key: delta for key, delta in adapter.items() if key not in owners}
    return replace(adapter, deltas=deltas, replacements=done)


def _of_base(tensor: str, owner: str, base: Checkpoint) -> Replacement:
    """Give a tensor of a module that is stored whole, in a file that left this one out."""
    name = base.resolve(tensor)
    if name is None:
        raise DifferentBase(f"the base model has no tensor `{tensor}`", where=tensor)
    return Replacement((Part(1.0, Stored(base.read(name))),), tensor, owner=owner)


def _as_stored(
    delta: Delta, key: str, place: Place, shape: tuple[int, ...], base: Checkpoint
) -> Array:
    """Form a delta as the base keeps its tensor: float64, of that shape."""
    if place.kind == "experts":
        raise Refused(
            f"`{key}` has factors in one adapter and is stored whole in another, and only bake "
            "knows which way round a base model keeps its experts",
            where=key,
            hint="superpose bake BASE ADAPTERS writes the exact model.",
        )
    if place.pooled > 1 and delta.shape[1:] != shape[1:]:
        delta = unpooled(delta)
    wide = (Term(c, upcast(B, "float64"), upcast(A, "float64")) for c, B, A in formed(delta.terms))
    matrix: Array = dense(tuple(wide))
    if place.kind == "embedding" or (place.kind == "linear" and base.is_conv1d(place.module)):
        matrix = matrix.T
    whole = np.zeros((place.blocks, *matrix.shape))
    whole[place.block] = matrix
    if whole.size != np.prod(shape) or (len(shape) == 2 and place.blocks * len(matrix) != shape[0]):
        raise DifferentBase(
            f"`{key}` has shape {delta.shape} in one adapter and {shape} in another",
            where=key,
            hint="Adapters of different vocabularies have no sum."
            if end_of(place.tensor)
            else "Was one of them trained on another base model? Such deltas have no sum.",
        )
    return whole.reshape(shape)


__all__ = ["worked_in"]
