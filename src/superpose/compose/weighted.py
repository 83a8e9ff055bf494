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
    total = counted[0]
    for part in counted[1:]:
        total = united(total, part, (total, part))
    if len(counted) < len(weighted):
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
