"""Heads: the layers over a model's body that are made anew for a task, and that no base model has.

A classifier's adapter stores its head whole beside its factors. Heads of different tasks have no
sum, and one that was trained from random values has no base that a share of it could be taken of;
the deltas of the body have both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from superpose.adapter.place import place_of
from superpose.errors import BadInput
from superpose.names.stored import end_of

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter

Heads: TypeAlias = "Literal['sum', 'none'] | str | int"
"""What becomes of heads in a sum: "sum", "none", or the name, path or number (from 1) of the
adapter whose head is taken whole."""

HEADS = "heads"
"""Key of a sum's metadata: what became of its parents' heads, where that was asked for."""

WAYS = (
    "Leave heads out with --heads none, or take one adapter's whole with --heads NAME (in Python: "
    'exact_sum(..., heads="none") or heads=NAME).'
)
"""What there is to do where heads have no sum."""

TASKS = frozenset({"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"})
"""PEFT's task types whose models have a head of their own."""

_NAMES = frozenset(
    "score classifier qa_outputs pre_classifier classification_head logits_proj qa_classifier "
    "sequence_summary v_head value_head reward_head regression_head start_logits end_logits "
    "answer_class".split()
)
_OUTERMOST = frozenset({"pooler", "projector", "head", "summary"})
"""Names that mean a head only where nothing stands before them: `bert.pooler` is the base's own.

Source of both: transformers 5.24, the attributes of every class for classification, for answering
questions and for multiple choice; trl and others for v_head and the like."""


class InHead(NamedTuple):
    """What an adapter holds of a head: keys of deltas, and of tensors that it stores."""

    deltas: tuple[str, ...]
    stored: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.deltas or self.stored)


def is_head(name: str) -> bool:
    """Say whether a tensor or a module of a base model lies in a head, as its name tells."""
    first, _, rest = name.partition(".")
    inner = rest.partition(".")[0]
    return first in _OUTERMOST | _NAMES or (inner in _NAMES and not first.isdigit())


def in_head(adapter: Adapter) -> InHead:
    """Give what an adapter holds of a head.

    Names tell; beside them, for an adapter of a classifier, that it stores a module whole whose
    outermost name no delta has.
    """
    modules = {key: place_of(key, delta.place).module for key, delta in adapter.items()}
    deltas = tuple(key for key, module in modules.items() if is_head(module))
    tops = {module.partition(".")[0] for key, module in modules.items() if key not in deltas}
    classifies = adapter.settings.get("task_type") in TASKS and bool(tops)
    stored = []
    for key, replacement in adapter.replacements.items():
        if replacement.row is not None or not replacement.absolute or end_of(replacement.tensor):
            continue
        outside = replacement.owner is not None and replacement.tensor.partition(".")[0] not in tops
        if is_head(replacement.tensor) or (classifies and outside):
            stored.append(key)
    return InHead(deltas, tuple(stored))


def head_tensors(adapter: Adapter) -> set[str]:
    """Give the tensors of a base model that an adapter's head is about."""
    found = in_head(adapter)
    places = (place_of(key, adapter[key].place) for key in found.deltas)
    return {p.tensor for p in places} | {adapter.replacements[key].tensor for key in found.stored}


def without_heads(adapter: Adapter) -> Adapter:
    """Give the adapter without what it holds of a head.

    Raises BadInput where nothing else is there.
    """
    found = in_head(adapter)
    if not found:
        return adapter
    deltas = {key: delta for key, delta in adapter.items() if key not in found.deltas}
    kept = {k: r for k, r in adapter.replacements.items() if k not in found.stored}
    if not deltas and not kept:
        raise BadInput("holds nothing but a head", where=adapter.label)
    # Of what is left nobody knows what an approximation keeps.
    made = replace(adapter.made, energy_kept=None) if found.deltas else adapter.made
    return replace(adapter, deltas=deltas, replacements=kept, made=made)


def with_head_of(total: Adapter, adapter: Adapter) -> Adapter:
    """Give a sum without heads the head of one adapter, whole, and what its task is."""
    found = in_head(adapter)
    if not found:
        raise BadInput("holds no head that could be taken", where=adapter.label, hint=f"{WAYS}")
    task = {k: v for k, v in adapter.settings.items() if k in ("task_type", "auto_mapping")}
    return replace(
        total,
        deltas={**total.deltas, **{key: adapter[key] for key in found.deltas}},
        replacements={
            **total.replacements,
            **{key: adapter.replacements[key] for key in found.stored},
        },
        settings={**total.settings, **task},
        metadata={**total.metadata, HEADS: f"that of {adapter.name}, whole"},
    )


def chosen(adapters: Sequence[Adapter], heads: Heads) -> Adapter | None:
    """Give the adapter that `heads` names; None for "sum" and "none".

    Raises BadInput, naming all that could be meant, where it names none of them, or several.
    """
    if heads in ("sum", "none"):
        return None
    found = [a for a in adapters if heads in (a.path, a.name)]
    number = str(heads)
    if not found and number.isdecimal() and 1 <= int(number) <= len(adapters):
        found = [adapters[int(number) - 1]]
    if len({id(adapter) for adapter in found}) == 1:
        return found[0]
    names = ", ".join(f"{n} ({a.name})" for n, a in enumerate(adapters, 1))
    raise BadInput(
        f"`{heads}` is {'several' if found else 'none'} of the adapters",
        where="heads",
        hint=f"Give none, sum, or an adapter's name or number: {names}.",
    )


def with_heads(adapters: Sequence[Adapter], heads: Heads) -> Sequence[Adapter]:
    """Give the adapters with the heads that `heads` leaves them; raises as `chosen` does."""
    head = chosen(adapters, heads)
    if heads == "sum":
        return adapters
    return [a if a is head else without_heads(a) for a in adapters]


def comparable(adapters: Sequence[Adapter]) -> tuple[Adapter, ...]:
    """Give the adapters without the deltas of heads, where those of two have different shapes."""
    shapes: dict[str, tuple[int, int]] = {}
    for adapter in adapters:
        for key in in_head(adapter).deltas:
            if shapes.setdefault(key, adapter[key].shape) != adapter[key].shape:
                return tuple(without_heads(a) for a in adapters)
    return tuple(adapters)


__all__ = [
    "HEADS",
    "TASKS",
    "WAYS",
    "Heads",
    "InHead",
    "chosen",
    "comparable",
    "head_tensors",
    "in_head",
    "is_head",
    "with_head_of",
    "with_heads",
    "without_heads",
]
