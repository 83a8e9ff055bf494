"""How two adapters differ: in what they add to the base model, and in how they are held."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.verbs.adapters import AdapterName, loaded
from superpose.verbs.at_hand import tree_at_hand

if TYPE_CHECKING:
    from superpose.adapter import Heads
    from superpose.interference.differing import Difference
    from superpose.names.tree import Tree
    from superpose.verbs.base import Base

__all__ = ["diff"]


@typed
def diff(
    a: AdapterName,
    b: AdapterName,
    *,
    tolerance: float | None = None,
    base: Base | None = None,
    same_base: bool = False,
    heads: Heads = "sum",
    tree: Tree | None = None,
    ignore_keys: Sequence[str] = (),
) -> Difference:
    """Say how two adapters differ, from their factors alone.

    a, b: names, or loaded ones. tolerance: relative difference up to which a module counts as the
    same; None is what rounding in the coarsest dtype of either allows. base, same_base, tree: as
    for `superpose.check`. heads: "none" compares what is below them; otherwise as for
    `superpose.merge`.

    Raises BadSetting for a tolerance below 0, Refused when the two name their modules in ways that
    cannot be compared, and as loading does.
    """
    from superpose.interference.difference import diff as compare

    if tolerance is not None and not 0.0 <= tolerance < math.inf:
        raise BadSetting(f"tolerance is {tolerance}; it must be at least 0", where="tolerance")
    parts = loaded((a, b), base=base, ignore_keys=ignore_keys, dora=True, beside=False)
    tree = tree_at_hand(parts, base) if tree is None else tree
    return compare(*parts, tolerance=tolerance, same_base=same_base, heads=heads, tree=tree)
