"""Where in the base model's files a delta or a stored tensor of an adapter lies.

The files may keep a weight transposed (Conv1D, embeddings beside their deltas, some stacks of
experts), and transformers 5 loads as one stack what mixtures of experts store expert by expert.
Source: transformers 5.24, conversion_mapping.py and integrations/moe.py; peft 0.21.2, ParamWrapper.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from superpose.adapter import Delta, Place, Replacement, is_head, place_of, unpooled
from superpose.adapter.heads import WAYS
from superpose.baking.change import Band
from superpose.baking.rows import OTHER_ROWS, Resized
from superpose.errors import BadInput, DifferentBase, Refused
from superpose.files.checkpoint import Checkpoint
from superpose.files.differs import missing_hint, shape_hint
from superpose.names.experts import STACKED, slices_of

Shape = tuple[int, ...]

EXPERTS_TURNED = frozenset({"gpt_oss", "openai_privacy_filter", "aria", "aria_text"})
"""Model types whose stacks of experts are (experts, in_features, out_features)."""

EXPERTS_EITHER = frozenset({"llama4", "llama4_text", "qwen3_vl_moe", "qwen3_vl_moe_text"})
"""Model types of which versions of PEFT or transformers disagree about it: the shape must tell."""


class Placed(NamedTuple):
    """A change of the stored tensor of that name."""

    tensor: str
    change: Band


def matrix_shape(shape: Shape, *, stacked: bool = False) -> tuple[int, int]:
    """Give the rows and columns that a stored tensor is seen as.

    stacked: a stack of matrices, one below the other; otherwise all axes but the first are one.
    """
    if stacked and len(shape) == 3:
        return shape[0] * shape[1], shape[2]
    rows = shape[0] if shape else 1
    return rows, math.prod(shape[1:])


def place_delta(checkpoint: Checkpoint, key: str, delta: Delta, tensor: str | None) -> list[Placed]:
    """Give what a delta changes.

    tensor: the stored name of its parameter, None where the files hold no such tensor and only its
    parts may be there.

    Raises BadInput, naming the key, when the files hold nothing that it could change, DifferentBase
    when shapes disagree, Refused when nobody can tell which way round the base keeps a matrix.
    """
    place = place_of(key, delta.place)
    if tensor is None:
        return list(_experts_apart(checkpoint, key, delta, place))
    shape = checkpoint.entry(tensor).shape
    rows, columns = matrix_shape(shape, stacked=place.kind == "experts")
    height = rows // place.blocks
    if place.pooled > 1 and delta.shape[1] != columns:
        delta = unpooled(delta)
    turned = _turned(checkpoint, key, place, delta.shape, (height, columns), tensor)
    at = place.block * height
    return [Placed(tensor, Band(key, delta, turned, 0, height, at, columns))]


def place_replacement(
    checkpoint: Checkpoint, key: str, replacement: Replacement, tensor: str | None
) -> list[Placed]:
    """Give what a tensor that the adapter stores absolutely changes; raises like `place_delta`."""
    if tensor is None:
        return list(_stack_apart(checkpoint, key, replacement))
    shape = checkpoint.entry(tensor).shape
    rows, columns = matrix_shape(shape)
    at, height, expected = 0, rows, shape
    if replacement.row is not None:
        at, height, expected = replacement.row, 1, shape[1:]
    turned = False
    if replacement.place is not None and len(shape) == 2:
        own = replacement.shape
        turned = _turned(checkpoint, key, replacement.place, own, (rows, columns), tensor)
    elif replacement.shape != expected:
        raise _other_shape(checkpoint, key, tensor, replacement.shape, expected)
    return [Placed(tensor, Band(key, replacement, turned, 0, height, at, columns))]


def _turned(
    checkpoint: Checkpoint,
    key: str,
    place: Place,
    own: Shape,
    stored: tuple[int, int],
    tensor: str,
) -> bool:
    """Say whether the files hold the transpose of a delta of shape `own`."""
    fits, fits_turned = own == stored, own[::-1] == stored
    if place.kind == "experts":
        if fits != fits_turned:
            return fits_turned
        if checkpoint.model_types & EXPERTS_EITHER:
            raise Refused(
                f"`{key}` is square, and versions of transformers and PEFT disagree about which "
                "way round this model keeps its experts",
                where=key,
            )
        turned = bool(checkpoint.model_types & EXPERTS_TURNED)
    else:
        conv1d = place.kind == "linear" and checkpoint.is_conv1d(place.module)
        turned = place.kind == "embedding" or conv1d
    if not (fits_turned if turned else fits):
        words = 1 if place.kind == "embedding" else 0
        seen = stored[::-1] if turned else stored
        raise _other_shape(checkpoint, key, tensor, own, seen, words)
    return turned


def _experts_apart(
    checkpoint: Checkpoint, key: str, delta: Delta, place: Place
) -> Iterator[Placed]:
    """Find a delta of a stack whose experts the files keep apart, or the other way round."""
    found = None
    if place.kind == "experts":
        found = _parts(checkpoint, place.module, place.parameter, place.block)
    elif place.kind == "linear" and place.parameter == "weight":
        yield from _in_stack(checkpoint, key, delta, place)
        return
    if not found:
        raise not_there(checkpoint, key, place.tensor)
    shapes = [checkpoint.entry(name).shape for name in found]
    whole = (sum(shape[0] for shape in shapes), shapes[0][-1])
    turned = delta.shape != whole
    if turned and delta.shape[::-1] != whole:
        raise _other_shape(checkpoint, key, found[0], delta.shape, whole)
    first = 0
    for name, shape in zip(found, shapes, strict=True):
        yield Placed(name, Band(key, delta, turned, first, shape[0], 0, shape[-1]))
        first += shape[0]


def is_apart(checkpoint: Checkpoint, parameter: str) -> bool:
    """Say whether a parameter is a stack of experts that the files keep apart."""
    module, _, name = parameter.rpartition(".")
    return bool(_parts(checkpoint, module, name, 0))


def _parts(checkpoint: Checkpoint, module: str, parameter: str, block: int) -> list[str]:
    """Give the stored names of one expert's part of a stack, none when they are not there."""
    for spelling in STACKED.get(parameter, ()):
        names = [checkpoint.stored_as(f"{module}.{block}.{part}.weight") for part in spelling]
        if all(names):
            return [name for name in names if name is not None]
    return []


def _in_stack(checkpoint: Checkpoint, key: str, delta: Delta, place: Place) -> Iterator[Placed]:
    """Find an expert of its own (transformers 4, gpt-oss in four bits) in files that keep a stack.

    A stack that is the other way round holds gate and up row by row in turn, so that half of it is
    none of its rows.
    """
    turned = bool(checkpoint.model_types & EXPERTS_TURNED)
    for at in slices_of(place.module):
        tensor = checkpoint.stored_as(f"{at.stack}.{at.parameter}")
        shape = () if tensor is None else checkpoint.entry(tensor).shape
        if tensor is None or len(shape) != 3:
            continue
        _, high, wide = shape
        rows, columns = delta.shape[::-1] if turned else delta.shape
        if (high, wide) != (rows * at.parts, columns) or (turned and at.parts > 1):
            raise _other_shape(checkpoint, key, tensor, delta.shape, (high, wide))
        first = at.expert * high + at.place * rows
        yield Placed(tensor, Band(key, delta, turned, 0, rows, first, columns))
        return
    raise not_there(checkpoint, key, place.tensor)


def _stack_apart(checkpoint: Checkpoint, key: str, replacement: Replacement) -> Iterator[Placed]:
    """Find a stack of experts, stored absolutely, in files that keep its experts apart."""
    module, _, parameter = replacement.tensor.rpartition(".")
    shape = replacement.shape
    if replacement.row is not None or len(shape) != 3 or parameter not in STACKED:
        raise not_there(checkpoint, key, replacement.tensor)
    for expert in range(shape[0]):
        first = expert * shape[1]
        for name in _parts(checkpoint, module, parameter, expert):
            height, columns = checkpoint.entry(name).shape
            if columns != shape[2]:
                stored = checkpoint.entry(name).shape
                raise _other_shape(checkpoint, key, name, shape, stored)
            yield Placed(name, Band(key, replacement, False, first, height, 0, columns))
            first += height
        if first != (expert + 1) * shape[1]:
            raise not_there(checkpoint, key, replacement.tensor)


def not_there(checkpoint: Checkpoint, key: str, parameter: str) -> BadInput:
    """Say that the base model holds nothing that a key of the adapter could change."""
    if is_head(parameter):
        return Refused(
            f"`{parameter}` is a head that {checkpoint.folder} does not have: nothing can be added "
            "to it, and of one that is stored whole no share is left where its task weights do "
            "not sum to 1",
            where=key,
            hint=f"{WAYS} Factors for a layer that no base has can only be left out.",
        )
    if parameter.endswith(".bias"):
        return BadInput(
            f"the adapter changes `{parameter}`, and the base model has no such bias",
            where=key,
            hint="A layer without a bias cannot be given one: PEFT refuses to merge it too.",
        )
    return BadInput(
        f"the adapter changes `{parameter}`, and {checkpoint.folder} holds no such tensor",
        where=key,
        hint=missing_hint(parameter, checkpoint.names),
    )


def _other_shape(
    checkpoint: Checkpoint, key: str, tensor: str, own: Shape, stored: Shape, words: int = 0
) -> DifferentBase:
    """Say how shapes differ. words: the axis of the vocabulary, where the tensor has one."""
    if isinstance(checkpoint, Resized) and tensor in checkpoint.values:
        return DifferentBase(
            f"`{key}` has shape {own} in one adapter, and another brings {stored} for it",
            where=key,
            hint=OTHER_ROWS,
        )
    return DifferentBase(
        f"`{key}` has shape {own} in the adapter and {stored} in the base model",
        where=key,
        hint=shape_hint(tensor, own, stored, checkpoint.folder, checkpoint.config, words=words),
    )
