"""Experts that one adapter has as layers of their own and another as one stack: slices of a stack.

PEFT on transformers 5 takes either, but not both in one file, and the stack is what the base has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from superpose.adapter.delta import Delta
from superpose.adapter.fused import among_zeros, turned
from superpose.adapter.place import Place, place_of
from superpose.adapter.same_base import plain_name
from superpose.errors import DifferentBase, Refused
from superpose.lowrank.terms import formed
from superpose.names.experts import InStack, slices_of

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.names.tree import Tree

_INTERLEAVED = "gptoss"
"""Part of the names of bases whose stacks hold gate and up row by row in turn."""


class _Stack(NamedTuple):
    """What the adapters' stacks of one layer tell. shapes: of one expert, by parameter."""

    experts: int
    shapes: Mapping[str, tuple[int, int]]


def one_stack(adapters: Sequence[Adapter], tree: Tree | None = None) -> tuple[Adapter, ...]:
    """Give the same adapters, with experts of their own in the stacks that another adapter has.

    tree: the base model's names; where those are stacks, gpt-oss's single layers become stacks too.

    Raises DifferentBase when an expert does not fit the stack, Refused where its rows cannot be
    told.
    """
    stacks = _stacks(adapters)
    apart = [
        {key: at for key, d in a.items() if (at := _single(key, d, stacks, tree))} for a in adapters
    ]
    mixed = {at.stack for own in apart for at in own.values()} & stacks.keys()
    if tree is not None:
        mixed |= _stacked_by(tree, adapters, apart, stacks)
    if not mixed:
        return tuple(adapters)
    return tuple(
        _in_stacks(a, {k: at for k, at in own.items() if at.stack in mixed}, stacks)
        for a, own in zip(adapters, apart, strict=True)
    )


def _single(
    key: str, delta: Delta, stacks: Mapping[str, _Stack], tree: Tree | None
) -> InStack | None:
    """Say which slice of a stack a delta is: of one that an adapter has, or else the base."""
    place = place_of(key, delta.place)
    found = slices_of(place.module) if place == Place(place.module) else []
    if len(found) < 2:
        return found[0] if found else None
    shapes = stacks[found[0].stack].shapes if found[0].stack in stacks else {}
    of_base = [at for at in found if tree and tree.experts(f"{at.stack}.{at.parameter}")]
    apart = "gate_proj" in shapes or "up_proj" in shapes
    there = [at for at in found if at.parameter in shapes] or of_base
    return there[0] if there else found[-1 if apart else 0]


def _stacks(adapters: Sequence[Adapter]) -> dict[str, _Stack]:
    found: dict[str, _Stack] = {}
    for adapter in adapters:
        for key, delta in adapter.items():
            place = place_of(key, delta.place)
            if place.kind == "experts" and place.blocks > 1:
                before = found.get(place.module, _Stack(place.blocks, {}))
                shapes = {**before.shapes, place.parameter: delta.shape}
                found[place.module] = _Stack(place.blocks, shapes)
    return found


def _stacked_by(
    tree: Tree,
    adapters: Sequence[Adapter],
    apart: Sequence[Mapping[str, InStack]],
    stacks: dict[str, _Stack],
) -> set[str]:
    """Give stacks of the base that gpt-oss's single layers belong to; PEFT makes none of those."""
    found = set()
    for own in apart:
        for key, at in own.items():
            count = tree.experts(f"{at.stack}.{at.parameter}")
            if "_projs." in key and count:
                stacks.setdefault(at.stack, _Stack(count, {}))
                found.add(at.stack)
    return found


def _in_stacks(
    adapter: Adapter, own: Mapping[str, InStack], stacks: Mapping[str, _Stack]
) -> Adapter:
    deltas: dict[str, Delta] = {}
    for key, delta in adapter.items():
        at = own.get(key)
        if at is None:
            new_key, new = key, delta
        else:
            _check_rows(adapter, key, at)
            new = _slice(adapter, key, delta, at, stacks[at.stack])
            assert new.place is not None
            new_key = new.place.key
        deltas[new_key] = deltas[new_key] + new if new_key in deltas else new
    return replace(adapter, deltas=deltas)


def _slice(adapter: Adapter, key: str, delta: Delta, at: InStack, stack: _Stack) -> Delta:
    """Give a single expert's delta as its slice of the stack, the way round that the stack is."""
    rows, columns = delta.shape
    whole = (rows * at.parts, columns)
    shape = stack.shapes.get(at.parameter)
    # A stack written by a PEFT that kept input before output is the other way round, all of it.
    around = shape is not None and shape != whole and shape[::-1] == whole
    if at.expert >= stack.experts or (shape is not None and whole not in (shape, shape[::-1])):
        raise DifferentBase(
            f"`{key}` of {adapter.label} has shape {delta.shape}, and the stack of "
            f"{stack.experts} experts `{at.stack}.{at.parameter}` {shape} in another adapter",
            where=key,
            hint="Was one of them trained on another base model? Such deltas have no sum.",
        )
    if at.parts > 1:
        terms = tuple(
            t._replace(B=among_zeros(t.B, at.place * rows, whole[0])) for t in formed(delta.terms)
        )
        delta = replace(delta, terms=terms)
    place = Place(at.stack, at.parameter, "experts", block=at.expert, blocks=stack.experts)
    return replace(turned(delta) if around else delta, place=place)


def _check_rows(adapter: Adapter, key: str, at: InStack) -> None:
    if at.parts > 1 and _INTERLEAVED in (plain_name(adapter.base_model) or ""):
        raise Refused(
            f"`{key}` is half of a stack whose rows gpt-oss keeps in turn, gate and up",
            where=key,
            hint="Train the experts as `gate_up_projs`, or as target_parameters.",
        )
