"""One task weight for each rank-one term of each adapter, fitted to calibration rows.

An adapter is cut into its directions, each an adapter of rank one: then a weight by direction is a
weight by module of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta
from superpose.adapter.delta import fine_numbers
from superpose.data.prompt import Example
from superpose.lowrank import Term
from superpose.lowrank.canonical_split import canonical
from superpose.measure.finer import By, Finer, finer_weights
from superpose.model.superposed import SuperposedModel

__all__ = ["directions_of", "fine_weights"]


def fine_weights(
    model: SuperposedModel,
    names: Sequence[str],
    domains: Mapping[str, Sequence[Example]],
    start: Sequence[float],
    own: Sequence[NDArray[np.float64]],
    *,
    by: By,
    **options: Any,
) -> Finer:
    """Fit weights for groups of modules, or for each direction of each adapter in every module.

    Arguments and what is raised: as for `finer_weights`.
    """
    if by != "direction":
        return finer_weights(model, names, domains, start, own, by=by, **options)
    cut = [directions_of(adapter) for adapter in model.adapters]
    labels = [f"{k} {n}" for k, each in enumerate(cut) for n in range(len(each))]
    starts = [weight for weight, each in zip(start, cut, strict=True) for _ in each]
    with SuperposedModel(model.model, [one for each in cut for one in each]) as split:
        found = finer_weights(split, labels, domains, starts, own, by="module", **options)
    weights = {
        name: {
            module: tuple(
                weight
                for n, one in enumerate(each)
                if module in one
                for weight in fine_numbers(found.weights[f"{k} {n}"][module])
            )
            for module in model.adapters[k]
        }
        for k, (name, each) in enumerate(zip(names, cut, strict=True))
    }
    groups = max(sum(map(len, own_weights.values())) for own_weights in weights.values())
    return replace(found, by="direction", weights=weights, groups=groups)


def directions_of(adapter: Adapter) -> list[Adapter]:
    """Give adapters of rank one whose sum it is: the n-th has each delta's n-th singular triple."""
    splits = {key: canonical(delta.terms) for key, delta in adapter.items()}
    most = max((len(split.A) for split in splits.values()), default=0)
    return [
        replace(
            adapter,
            deltas={
                key: Delta((Term(1.0, B[:, n : n + 1], A[n : n + 1]),), place=adapter[key].place)
                for key, (_, B, A) in splits.items()
                if n < len(A)
            },
        )
        for n in range(most)
    ]
