"""What the weights tell of a sum, before anything is added."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.interference import Check, check as compare
from superpose.verbs.adapters import AdapterName, Adapters, as_list, loaded
from superpose.verbs.several import many, too_few, with_folders

if TYPE_CHECKING:
    from superpose.adapter import Heads
    from superpose.executor import Execution
    from superpose.names.tree import Tree
    from superpose.report import Page
    from superpose.verbs.base import Base
    from superpose.verbs.gate import Gate
    from superpose.verbs.library_pages import CheckedLibrary
    from superpose.verbs.progress import Progress

__all__ = ["Checked", "check"]


@dataclass(frozen=True)
class Checked(Check):
    """What the weights tell, with what a page says of its making.

    base: that the first adapter names.
    """

    base: str | None
    seconds: float

    def page(self, command: str = "") -> Page:
        """Give the page. command: that which made it, as it was typed."""
        from superpose.report import Making, check_page

        made = Making(command=command, seconds={"this run": self.seconds}, base=self.base)
        return check_page(self.in_parts(), made, self.foremost())

    def gate(self, fail_on: Sequence[str]) -> Gate:
        """Judge every pair by conditions that must not be met, as `--fail-on` writes them.

        fail_on: such as `cosine>0.1` or `shared-a`. Raises BadInput for one that is none.
        """
        from superpose.interference.conditions import parse_condition
        from superpose.verbs.gate import gate_of_pairs

        paths = {adapter.name: adapter.path for adapter in self.adapters}
        conditions = [parse_condition(text) for text in fail_on]
        return gate_of_pairs(conditions, self.pairs, paths, self.seconds)


@overload
def check(
    adapters: Adapters | AdapterName,
    *more: AdapterName,
    same_base: bool = False,
    base: Base | None = None,
    heads: Heads = "sum",
    tree: Tree | None = None,
    ignore_keys: Sequence[str] = (),
) -> Checked: ...


@overload
def check(
    adapters: Adapters = (),
    *,
    index: str | os.PathLike[str],
    device: str | None = None,
    execution: Execution | None = None,
    progress: Progress | None = None,
) -> CheckedLibrary: ...


@typed
def check(
    adapters: Adapters | AdapterName = (),
    *more: AdapterName,
    same_base: bool = False,
    base: Base | None = None,
    heads: Heads = "sum",
    tree: Tree | None = None,
    ignore_keys: Sequence[str] = (),
    index: str | os.PathLike[str] | None = None,
    device: str | None = None,
    execution: Execution | None = None,
    progress: Progress | None = None,
) -> Checked | CheckedLibrary:
    """Compare every pair of adapters, and all of them together, from their factors alone.

    adapters: at least two of one base model, names or loaded ones, in a list or one by one; a
    folder that holds adapters stands for those in it. same_base: bases of different names are one.
    base: the base model, for GGUF files, and for its own names, which tell what two files mean
    where they alone do not; no weight of it is read. tree: its names, where it is not on this
    machine. heads: as for `superpose.merge`; whatever it is, what adapters store whole is in no
    figure, and deltas in heads are where all have one shape. index: what `superpose.index` made, in
    place of adapters: all its pairs, by blocks that are kept there; device, execution and progress
    are for this. device: where torch takes the products, such as cuda, or `auto`; None takes them
    in NumPy. execution: where the blocks are compared, and by how many workers; None is in this
    process.

    Figures, their floors and when they are NaN: `Pair` and `ModuleFigures`. Invariant under
    A -> RA, B -> B R^-1.

    Raises BadInput for fewer than two adapters, DifferentBase for adapters of different bases, and
    as loading does.
    """
    if index is not None:
        return _of_index(index, [*as_list(adapters), *more], device, execution, progress)
    for name, value in (("device", device), ("execution", execution)):
        if value is not None:
            raise BadSetting("is for all pairs of an index, and goes with one", where=name)
    started = time.perf_counter()
    given = with_folders([*as_list(adapters), *more])
    if len(given) < 2:
        raise too_few(given)
    with many(given):
        parts = loaded(given, base=base, ignore_keys=ignore_keys, beside=False)
    if base is not None and tree is None:
        from superpose.verbs.at_hand import tree_at_hand

        tree = tree_at_hand(parts, base)
    found = compare(parts, same_base, heads=heads, tree=tree)
    seconds = time.perf_counter() - started
    return Checked(**vars(found), base=parts[0].base_model, seconds=seconds)


def _of_index(
    index: str | os.PathLike[str],
    given: Sequence[object],
    device: str | None,
    execution: Execution | None,
    progress: Progress | None,
) -> CheckedLibrary:
    from superpose.executor import Execution
    from superpose.library.checked import check_library
    from superpose.library.opened import open_library
    from superpose.verbs.device import place_on
    from superpose.verbs.library_pages import CheckedLibrary

    if given:
        raise BadSetting("takes the place of adapters: give one or the other", where="index")
    started = time.perf_counter()
    library, place = open_library(index), place_on(device)
    found = check_library(library, progress, place, execution or Execution())
    return CheckedLibrary(
        **vars(found), index=os.fspath(index), seconds=time.perf_counter() - started
    )
