"""Layers that one adapter has fused and another apart: the same rows under one name.

Rows of B are sliced, or set among zeros: the delta is the same matrix, and nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.adapter.delta import Delta
from superpose.adapter.place import Place, place_of
from superpose.errors import DifferentBase, Refused
from superpose.lowrank.terms import Term, formed
from superpose.lowrank.to_numpy import to_numpy
from superpose.names.fused import FUSED, OTHER_FUSED, OTHER_PARTS, PARTS, heights

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.names.tree import Tree

Layers = dict[str, dict[str, Delta]]
"""Parent module -> last word of a layer's name -> its delta."""


def one_form(adapters: Sequence[Adapter], tree: Tree | None = None) -> tuple[Adapter, ...]:
    """Give the same adapters, each layer fused in all of them or in none.

    The base model's form counts (`tree`), otherwise that of the first adapter that has either.

    Raises Refused where the order of a fused layer's rows is not known, or what is stored
    absolutely would have to be taken apart; DifferentBase when heights do not fit.
    """
    layers = [_layers(adapter) for adapter in adapters]
    _check_known(adapters, layers)
    meetings = list(dict.fromkeys((*_meetings(layers), *_of_the_base(layers, tree))))
    if not meetings:
        return tuple(adapters)
    found = list(adapters)
    for parent, fused in meetings:
        known = _heights(parent, fused, layers, tree)
        keep = _keeps_fused(parent, fused, layers, tree)
        for i, adapter in enumerate(found):
            own = layers[i].get(parent, {})
            names = [fused] if not keep else [part for part in FUSED[fused] if part in own]
            if not any(name in own for name in names):
                continue
            _check_stored(adapter, parent, names)
            change = _joined if keep else _apart
            found[i] = change(found[i], parent, fused, known)
    return tuple(found)


def _layers(adapter: Adapter) -> Layers:
    found: Layers = {}
    for key, delta in adapter.items():
        if delta.place is None:
            parent, _, last = key.rpartition(".")
            if last in FUSED or last in PARTS or last in OTHER_FUSED or last in OTHER_PARTS:
                found.setdefault(parent, {})[last] = delta
    return found


def _meetings(layers: Sequence[Layers]) -> list[tuple[str, str]]:
    """Give parents whose layer one adapter has fused and another apart, and the fused name."""
    found: dict[tuple[str, str], None] = {}
    for fused, parts in FUSED.items():
        parents = {p for one in layers for p, own in one.items() if fused in own}
        apart = {p for one in layers for p, own in one.items() if own.keys() & set(parts)}
        found |= {(parent, fused): None for parent in sorted(parents & apart)}
    return list(found)


def _check_known(adapters: Sequence[Adapter], layers: Sequence[Layers]) -> None:
    fused = {(p, n): i for i, one in enumerate(layers) for p in one for n in one[p]
             if n in OTHER_FUSED}  # fmt: skip
    apart = {(p, n): i for i, one in enumerate(layers) for p in one for n in one[p]
             if n in OTHER_PARTS}  # fmt: skip
    for (parent, name), i in fused.items():
        for (other, part), j in apart.items():
            if parent == other and not (name == "c_attn" and part == "q_attn"):
                raise Refused(
                    f"`{parent}.{name}` in {adapters[i].label} and `{parent}.{part}` in "
                    f"{adapters[j].label} are rows of one weight, and the order of the rows in "
                    f"`{name}` differs between models",
                    where=f"{parent}.{name}",
                    hint="Train both on one form of the base model, or bake each into the form "
                    "that it was trained on, convert that, and superpose extract it.",
                )


def _of_the_base(layers: Sequence[Layers], tree: Tree | None) -> list[tuple[str, str]]:
    """Give parents whose layer the base has in another form than the adapters have it in."""
    found: dict[tuple[str, str], None] = {}
    if tree is None:
        return []
    for own in layers:
        for parent, names in own.items():
            for name in names.keys() & (FUSED.keys() | PARTS.keys()):
                if not tree.has(f"{parent}.{name}.weight"):
                    others = FUSED[name] if name in FUSED else _fused_with(name)
                    there = [n for n in others if tree.has(f"{parent}.{n}.weight")]
                    found |= {(parent, name if name in FUSED else n): None for n in there}
    return list(found)


def _fused_with(part: str) -> list[str]:
    return [fused for fused, parts in FUSED.items() if part in parts]


def _heights(
    parent: str, fused: str, layers: Sequence[Layers], tree: Tree | None
) -> dict[str, int]:
    total = 0 if tree is None else tree.rows(f"{parent}.{fused}.weight")
    known: dict[str, int] = {}
    if tree is not None:
        rows = {part: tree.rows(f"{parent}.{part}.weight") for part in FUSED[fused]}
        known = {part: height for part, height in rows.items() if height}
    for one in layers:
        own = one.get(parent, {})
        total = own[fused].shape[0] if fused in own else total
        known |= {part: own[part].shape[0] for part in FUSED[fused] if part in own}
    found = heights(fused, total, known)
    if found is None:
        raise DifferentBase(
            f"`{parent}.{fused}` has {total} rows in one adapter, and its parts have {known} in "
            "another",
            where=f"{parent}.{fused}",
            hint="Was one of them trained on another base model? Such deltas have no sum.",
        )
    return found


def _keeps_fused(parent: str, fused: str, layers: Sequence[Layers], tree: Tree | None) -> bool:
    if tree is not None:
        for name, keep in ((fused, True), *((part, False) for part in FUSED[fused])):
            if tree.has(f"{parent}.{name}.weight"):
                return keep
    first = next(own for one in layers if (own := _either(one, fused)))
    return fused in first


def _either(layers: Layers, fused: str) -> set[str]:
    """Give which names of a fused layer or of its parts an adapter has anywhere."""
    return {name for own in layers.values() for name in own.keys() & {fused, *FUSED[fused]}}


def _check_stored(adapter: Adapter, parent: str, names: Sequence[str]) -> None:
    modules = [f"{parent}.{name}" for name in names]
    for stored in adapter.replacements.values():
        if any(stored.tensor.startswith(f"{module}.") for module in modules):
            raise Refused(
                f"`{stored.tensor}` is stored as it is in {adapter.label}, for a layer that "
                "another adapter has in another form (fused, or in parts)",
                where=stored.tensor,
                hint="superpose bake BASE ADAPTER writes the exact model of each.",
            )


def _apart(adapter: Adapter, parent: str, fused: str, known: dict[str, int]) -> Adapter:
    """Take a fused layer's rows apart; its bias of B (lora_bias) with them."""
    deltas: dict[str, Delta] = {}
    module = f"{parent}.{fused}"
    for key, delta in adapter.items():
        place = place_of(key, delta.place)
        if place.module != module:
            _add(deltas, key, delta)
            continue
        first = 0
        for part, height in known.items():
            terms = tuple(t._replace(B=t.B[first : first + height]) for t in formed(delta.terms))
            own, first = _renamed(place, f"{parent}.{part}"), first + height
            _add(deltas, own.key, replace(delta, terms=terms, place=_given(delta, own)))
    return replace(adapter, deltas=deltas)


def _joined(adapter: Adapter, parent: str, fused: str, known: dict[str, int]) -> Adapter:
    """Set the parts of a layer below each other, and zeros where a part is missing."""
    deltas: dict[str, Delta] = {}
    total = 0
    first: dict[str, int] = {}
    for part, height in known.items():
        first[f"{parent}.{part}"], total = total, total + height
    for key, delta in adapter.items():
        place = place_of(key, delta.place)
        if place.module not in first:
            _add(deltas, key, delta)
            continue
        at = first[place.module]
        own = _renamed(place, f"{parent}.{fused}")
        terms = tuple(t._replace(B=among_zeros(t.B, at, total)) for t in formed(delta.terms))
        _add(deltas, own.key, replace(delta, terms=terms, place=_given(delta, own)))
    return replace(adapter, deltas=deltas)


def _add(deltas: dict[str, Delta], key: str, delta: Delta) -> None:
    """Add a delta where an adapter may have the layer in both forms."""
    deltas[key] = deltas[key] + delta if key in deltas else delta


def among_zeros(B: Any, at: int, total: int) -> Any:
    """Give B (rows, rank) as the rows from `at` of a matrix (total, rank) of zeros."""
    B = B if isinstance(B, np.ndarray) else to_numpy(B)
    wide = np.zeros((total, B.shape[1]), B.dtype)
    wide[at : at + B.shape[0]] = B
    return wide


def turned(delta: Delta) -> Delta:
    """Give the transpose."""
    return replace(
        delta, terms=tuple(Term(t.coefficient, t.A.T, t.B.T) for t in formed(delta.terms))
    )


def _renamed(place: Place, module: str) -> Place:
    return replace(place, module=module)


def _given(delta: Delta, place: Place) -> Place | None:
    return None if delta.place is None else place
