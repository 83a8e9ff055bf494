"""From a file's tensors to deltas: what each pair of factors is in the base model.

The layouts of peft 0.21.2, `tuners/lora/layer.py`: Linear, Embedding, _ConvNd, MultiheadAttention
and ParamWrapper; `tuners/lora/variants.py` for block-diagonal factors and pooled inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Delta, Place
from superpose.errors import BadInput
from superpose.formats.peft.config import LoraConfig
from superpose.formats.peft.experts import Wrapped, by_expert, wrapped_parameters
from superpose.formats.peft.keys import FactorPair, Sorted

Array = NDArray[Any]

INNER = ".base_layer."
"""Between nn.MultiheadAttention and its out_proj, in a file's names."""


class Target(NamedTuple):
    """One pair of factors: what it changes, and what the configuration says of it.

    name: as the configuration's patterns see it. blocks: groups of a convolution, experts. rank:
    of one block.
    """

    pair: FactorPair
    place: Place
    name: str
    rank: int
    scaling: float


def targets(found: Sorted, config: LoraConfig) -> dict[str, Target]:
    """Give what every pair of a file changes, by module as the file calls it.

    Raises BadInput, naming the tensor, when a shape is not what the configuration announces, and
    Refused when the parameters of a stack of experts cannot be told apart.
    """
    wrapped = wrapped_parameters(found.factors, config.target_parameters)
    attention = {m.partition(INNER)[0] for m in found.factors if INNER in m and m not in wrapped}
    turned = [(p.B_shape[::-1], p.A_shape[::-1]) for p in found.factors.values() if p.embedding]
    return {
        module: _target(
            module,
            pair,
            config,
            wrapped.get(module),
            attention=module in attention,
            # Of a tied layer PEFT takes the embedding's rank, and the scaling that it had alone.
            tied=config.tying and (pair.A_shape, pair.B_shape) in turned and not pair.embedding,
        )
        for module, pair in found.factors.items()
    }


def deltas_of(
    target: Target, tensors: Mapping[str, Array], config: LoraConfig
) -> Iterator[tuple[str, Delta]]:
    """Give the deltas of one pair, each with its key in the adapter: several for its blocks."""
    A, B = tensors[target.pair.A], tensors[target.pair.B]
    place, rank = target.place, target.rank
    if place.kind == "convolution":
        A, B = A.reshape(A.shape[0], -1), B.reshape(B.shape[0], -1)
    side = config.diagonal_side(target.name)
    if side == "A":
        A = block_diagonal(A, config.diagonal_blocks)
    elif side == "B":
        B = block_diagonal(B, config.diagonal_blocks)
    stack = by_expert(B, place.blocks) if place.kind == "experts" else None
    plain = place == Place(place.module)
    for block in range(place.blocks):
        own = Place(**{**vars(place), "block": block})
        rows = slice(block * rank, (block + 1) * rank)
        if stack is not None:
            b = stack[block]
        else:
            high = B.shape[0] // place.blocks
            b = B[block * high : (block + 1) * high]
        yield own.key, Delta.of(b, A[rows], target.scaling, None if plain else own)


def block_diagonal(x: Array, blocks: int) -> Array:
    """Unfold a block-diagonal factor: x (rows, columns / blocks) to (rows, columns).

    Block i holds rows i * rows / blocks on. Raises BadInput when they do not divide.
    """
    if x.shape[0] % blocks:
        raise BadInput(f"{x.shape[0]} rows do not make {blocks} blocks (use_bdlora.nblocks)")
    rows, columns = x.shape[0] // blocks, x.shape[1]
    full = np.zeros((x.shape[0], columns * blocks), x.dtype)
    for i in range(blocks):
        part = slice(i * rows, (i + 1) * rows)
        full[part, i * columns : (i + 1) * columns] = x[part]
    return full


def _target(
    module: str,
    pair: FactorPair,
    config: LoraConfig,
    wrapped: Wrapped | None,
    *,
    attention: bool,
    tied: bool,
) -> Target:
    # A pattern means nn.MultiheadAttention as one module, its out_proj with it.
    name = f"{wrapped.module}.{wrapped.parameter}" if wrapped else module.partition(INNER)[0]
    announced = pair.rank if tied else config.rank_of(name)
    if wrapped is not None:
        place = _experts(pair, announced, wrapped)
    elif len(pair.A_shape) > 2:
        place = _convolution(module, pair)
    elif pair.embedding:
        place = Place(module, kind="embedding")
    elif INNER in module:
        place = Place(module.replace(INNER, "."), wrapped=True)
    elif attention:
        place = Place(module, "in_proj_weight")
    else:
        place = Place(module, pooled=config.pooled)
    rank = pair.rank // (place.blocks if place.kind in ("experts", "convolution") else 1)
    _check_rank(pair, place, announced, config.diagonal_side(name), config.diagonal_blocks)
    return Target(pair, place, name, rank, config.scaling_of(name))


def _experts(pair: FactorPair, announced: int, wrapped: Wrapped) -> Place:
    """Give the place of a parameter, which PEFT takes for a stack of one where it is a matrix.

    Its delta goes by the tensor's own layout, whatever layer it is of.
    """
    if pair.rank % announced:
        raise _rank_error(pair.A, pair.rank, announced)
    experts = pair.rank // announced
    return Place(wrapped.module, wrapped.parameter, "experts", blocks=experts)


def _convolution(module: str, pair: FactorPair) -> Place:
    columns = pair.B_shape[1]
    if math.prod(pair.B_shape[2:]) != 1 or pair.rank % columns:
        raise BadInput(
            f"tensors `{pair.A}` {pair.A_shape} and `{pair.B}` {pair.B_shape} are not the factors "
            "of a convolution"
        )
    groups = pair.rank // columns
    if pair.B_shape[0] % groups:
        raise BadInput(f"tensor `{pair.B}` {pair.B_shape} does not divide into {groups} groups")
    return Place(module, kind="convolution", kernel=pair.A_shape[2:], blocks=groups)


def _check_rank(
    pair: FactorPair, place: Place, announced: int, side: str | None, blocks: int
) -> None:
    rank = pair.rank // (place.blocks if place.kind == "experts" else 1)
    if rank != announced:
        raise _rank_error(pair.A, rank, announced)
    columns = {"experts": pair.rank, "convolution": announced // place.blocks}.get(
        place.kind, announced
    )
    if side == "B":
        columns = announced // blocks
    if pair.B_shape[1] != columns:
        raise BadInput(
            f"tensors `{pair.A}` {pair.A_shape} and `{pair.B}` {pair.B_shape} do not have one rank"
        )


def _rank_error(name: str, rank: int, announced: int) -> BadInput:
    return BadInput(
        f"tensor `{name}` has rank {rank}, but adapter_config.json says {announced}",
        hint="The scaling depends on the rank, so nobody can tell what this adapter does. "
        "Are both files of one training run?",
    )
