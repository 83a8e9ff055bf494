"""The weighted sum of adapters that were brought together: what every method begins from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from superpose.adapter import Adapter
from superpose.adapter.parents import joined_parents, sum_name
from superpose.adapter.united import united


def weighted_sum(parts: Sequence[Adapter], weights: Sequence[float]) -> Adapter:
    """Give sum_k weights_k * parts_k: terms are joined, and nothing is rounded.

    parts: at least one, of one base model's name. weights: one each, finite.
    """
    weighted = [weight * part for part, weight in zip(parts, weights, strict=True)]
    # Of a part of weight 0 the name stays, and nothing else: it must not ask for the base model.
    counted = [p for p, w in zip(weighted, weights, strict=True) if w != 0.0] or weighted
    every = len(counted) == len(weighted)
    while len(counted) > 1:  # neighbours by twos: one by one, the sum's terms are joined each time
        pairs = zip(counted[::2], counted[1::2], strict=False)
        counted = [united(x, y, (x, y)) for x, y in pairs] + counted[len(counted) & ~1 :]
    total = counted[0]
    if not every:
        parents = joined_parents(parent for part in weighted for parent in part.parents)
        total = replace(total, parents=parents, name=sum_name(parents))
    return total


def with_each_parent(total: Adapter, parts: Sequence[Adapter], weights: Sequence[float]) -> Adapter:
    """Give a merged adapter whose parents are all that were given, one that stands twice too."""
    pairs = zip(parts, weights, strict=True)
    each = tuple(p.with_weight(w * p.weight) for part, w in pairs for p in part.as_parents())
    if len(each) == len(total.parents):
        return total
    return replace(total, parents=each, name=sum_name(each))
