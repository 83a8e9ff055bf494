"""What a verb says of heads: the layers that classifiers get anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.verbs.notes import note

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.adapter.heads import Heads

__all__ = ["tell_of_heads"]


def tell_of_heads(adapters: Sequence[Adapter], heads: Heads) -> None:
    """Say what becomes of the heads of some adapters in their sum; nothing where there are none."""
    from superpose.adapter import in_head
    from superpose.adapter.heads import chosen

    held = {id(a): [*in_head(a).stored, *in_head(a).deltas] for a in adapters}
    having = [a for a in adapters if held[id(a)]]
    if not having:
        return
    head = chosen(adapters, heads)
    if head is not None:
        others = ", ".join(a.name for a in having if a is not head)
        left = f"; left out: {others}'s" if others else ""
        note("note", f"the head is {head.name}'s, whole: {_names([head], held)}{left}")
    elif heads == "none":
        of = ", ".join(a.name for a in having)
        note("note", f"heads are left out: {_names(having, held)} of {of}")
    elif len(adapters) > 1:
        of = ", ".join(a.name for a in having)
        note("note", f"heads are added like all the rest: {_names(having, held)} of {of}")


def _names(adapters: Sequence[Adapter], held: dict[int, list[str]]) -> str:
    return ", ".join(dict.fromkeys(name for a in adapters for name in held[id(a)]))
