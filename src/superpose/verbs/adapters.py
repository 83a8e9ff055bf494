"""Adapters as a verb takes them: names, paths or loaded ones, with task weights or without."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from superpose.verbs.weighted import parse_weighted

if TYPE_CHECKING:
    from superpose.adapter import Adapter

__all__ = ["AdapterName", "Adapters", "Weighted", "loaded", "loaded_with_weights"]

AdapterName: TypeAlias = "str | os.PathLike[str] | Adapter"
"""A folder, a file, a hub name, or an adapter that is loaded already."""

Adapters: TypeAlias = Sequence[AdapterName]

Weighted: TypeAlias = Adapters | Mapping[str, float]
"""`["math", "finance:0.5"]`, or `{"math": 1.0, "finance": 0.5}`; loaded ones are at weight 1."""


def loaded(
    adapters: Adapters, *, base: str | None = None, ignore_keys: Sequence[str] = ()
) -> list[Adapter]:
    """Load those that are names. base: the base model's name, which a GGUF file asks for.

    Raises as `superpose.load` does.
    """
    from superpose.adapter import Adapter
    from superpose.formats import load

    return [
        a if isinstance(a, Adapter) else load(a, base=base, ignore_keys=ignore_keys)
        for a in adapters
    ]


def loaded_with_weights(
    adapters: Weighted, *, base: str | None = None, ignore_keys: Sequence[str] = ()
) -> tuple[list[Adapter], list[float]]:
    """Load adapters and give the task weight of each. Raises as `loaded` and `parse_weighted`."""
    names: list[AdapterName] = []
    weights = []
    if isinstance(adapters, Mapping):
        names, weights = list(adapters), [float(weight) for weight in adapters.values()]
    else:
        for adapter in adapters:
            name, weight = parse_weighted(adapter) if isinstance(adapter, str) else (adapter, None)
            names.append(name)
            weights.append(1.0 if weight is None else weight)
    return loaded(names, base=base, ignore_keys=ignore_keys), weights
