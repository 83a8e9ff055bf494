"""Adapters brought together before they are added or compared: one base, one name, one form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.adapter.alignment import align, met
from superpose.adapter.copied import without_differing
from superpose.adapter.heads import comparable, head_tensors
from superpose.adapter.renaming import tensors_of
from superpose.adapter.same_base import check_same_base
from superpose.errors import Refused
from superpose.files.file_format import PEFT, Family, family_of_format

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter
    from superpose.names.tree import Tree


def together(
    adapters: Sequence[Adapter],
    *,
    same_base: bool = False,
    tree: Tree | None = None,
    deltas_alone: bool = False,
) -> tuple[Adapter, ...]:
    """Give the same adapters, so that equal keys mean one weight, and every key one delta.

    same_base: as for `check_same_base`. tree: the base model's own names, where it is at hand.
    deltas_alone: what adapters store in place of the base's tensors, and heads for other labels, do
    not count: the deltas below them are to be compared, not added.

    Raises DifferentBase for adapters of different base models, Refused where nobody can tell which
    weight a name means or two structures cannot be made one.
    """
    found: Sequence[Adapter]
    tree = of_its_class(adapters, tree)
    try:
        found = met(adapters, tree)
    except Refused:
        check_same_base(adapters, same_base)  # that they are of two bases says more
        raise
    if deltas_alone:
        found = without_differing(comparable(found))
    check_same_base(found, same_base, stored=not deltas_alone)
    return align(found)


def side_by_side(
    adapters: Sequence[Adapter], *, same_base: bool = False, tree: Tree | None = None
) -> tuple[Adapter, ...]:
    """Give the same adapters under one name for each weight, with all that each of them holds.

    For who treats them alike and adds none: what they store in place of the base's tensors may
    differ, and of heads for other labels the deltas under one name have different shapes.

    same_base, tree: as for `together`, and raises as that.
    """
    found = met(adapters, of_its_class(adapters, tree))
    check_same_base(comparable(found), same_base, stored=False)
    return align(found)


def of_its_class(adapters: Sequence[Adapter], tree: Tree | None) -> Tree | None:
    """Give the base's names as the class of the adapters with a head has them, the first's before.

    A classifier's class may call the body otherwise than the base model's own, and what is written
    is for that class. So may that of adapters which all were trained on the model without its head,
    or all with it, where the base's files are the other.
    """
    of_bases = [one for one in adapters if family_of_format(one.format) == Family.BASE]
    headed = [(one, head) for one in reversed(of_bases) if (head := head_tensors(one))]
    if tree is None and not headed:
        return None  # as most are; the rest would be paid for at every start
    from superpose.names.tree import as_called, is_other_class

    if tree is not None and all(adapter.format == PEFT.name for adapter in adapters):
        names = [tensors_of(adapter) for adapter in adapters]
        if is_other_class(tree, names):
            tree = as_called(tree, [name for own in names for name in own], ())
    for adapter, head in headed:
        tree = as_called(tree, [t for t in tensors_of(adapter) if t not in head], head)
    return tree
