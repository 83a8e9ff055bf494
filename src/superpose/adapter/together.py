"""Adapters brought together before they are added or compared: one base, one name, one form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.adapter.alignment import align, met
from superpose.adapter.same_base import check_same_base
from superpose.errors import Refused

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.names.tree import Tree


def together(
    adapters: Sequence[Adapter], *, same_base: bool = False, tree: Tree | None = None
) -> tuple[Adapter, ...]:
    """Give the same adapters, so that equal keys mean one weight, and every key one delta.

    same_base: as for `check_same_base`. tree: the base model's own names, where it is at hand.

    Raises DifferentBase for adapters of different base models, Refused where nobody can tell which
    weight a name means or two structures cannot be made one.
    """
    try:
        found = met(adapters, tree)
    except Refused:
        check_same_base(adapters, same_base)  # that they are of two bases says more
        raise
    check_same_base(found, same_base)
    return align(found)
