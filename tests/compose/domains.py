"""What is known of each adapter's domain, where a method asks for it: it goes by the name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from superpose.adapter import Adapter
from superpose.compose import FineWeights, Method, RegMeanTuned, TunedSum
from superpose.compose.from_inputs import FromInputs
from superpose.data.input_statistics import InputStatistics
from superpose.lowrank import dense
from superpose.lowrank.second_moment import SecondMoment


def moment_of(given: Adapter) -> np.ndarray:
    """The second moment of the inputs on an adapter's domain, of all modules alike."""
    rng = np.random.default_rng(sum(map(ord, given.name)))
    X = rng.standard_normal((10, 10)) @ rng.standard_normal((10, 40))
    return np.asarray(X @ X.T / 40)


def direction_weights(given: Adapter) -> np.ndarray:
    """Task weights of an adapter's directions, of all modules alike."""
    return np.random.default_rng(sum(map(ord, given.name))).uniform(0.2, 1.5, 10)


def informed(method: Method, adapters: Sequence[Adapter], keys: Sequence[str]) -> Method:
    """Give a method what it needs of the adapters' domains. keys: of all modules."""
    if isinstance(method, FromInputs):
        known = [SecondMoment.of(moment_of(each)) for each in adapters]
        found = (InputStatistics(dict.fromkeys(keys, one), None, 1, 40) for one in known)
        told = replace(method, statistics=tuple(found))
        fine = tuple(map(_fine_weights, adapters))
        return replace(told, weights=fine) if isinstance(told, RegMeanTuned) else told
    if isinstance(method, TunedSum):
        return replace(method, weights=tuple(map(_fine_weights, adapters)))
    return method


def _fine_weights(given: Adapter) -> FineWeights:
    weights, found = direction_weights(given).tolist(), {}
    for key, delta in given.items():
        whole = np.asarray(dense(delta.terms))
        few = np.linalg.matrix_rank(whole) if whole.any() else 1
        found[key if key.startswith("model.") else f"model.{key}"] = tuple(weights[:few])
    return FineWeights(found)
