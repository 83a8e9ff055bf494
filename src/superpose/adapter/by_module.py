"""An adapter with a task weight of its own for each target module, or for each direction of one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from superpose.adapter.delta import FineWeight, fine_numbers
from superpose.adapter.made import made_by_sum
from superpose.adapter.parents import Parent
from superpose.errors import BadInput, placed

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter

__all__ = ["scaled_by_module"]


def scaled_by_module(adapter: Adapter, weights: Mapping[str, FineWeight]) -> Adapter:
    """Scale each delta by its own weight; `Adapter.scaled_by_module` says how, and raises."""
    missing = [key for key in adapter if key not in weights]
    if missing or adapter.replacements:
        what = missing[0] if missing else next(iter(adapter.replacements))
        raise BadInput(f"`{what}` has no task weight of its own", where=adapter.label)
    each = {key: fine_numbers(weights[key]) for key in adapter}
    with placed(adapter.label):
        deltas = {key: delta.scaled(weights[key]) for key, delta in adapter.items()}
    count = sum(map(len, each.values()))
    mean = math.fsum(weight / count for found in each.values() for weight in found)
    how = "module" if count == len(adapter) else "direction"
    own = Parent(f"{adapter.name} by {how}", adapter.path, mean, adapter.identity)
    made = made_by_sum((adapter,), (own,))
    return replace(adapter, deltas=deltas, name=own.name, path=None, parents=(own,), made=made)
