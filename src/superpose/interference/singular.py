"""How singular vectors and subspaces of two sides meet, without dense matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from superpose.adapter import Adapter
from superpose.lowrank import Terms, input_basis, output_basis, stack
from superpose.lowrank.canonical_split import canonical, sides, significant, sizes
from superpose.lowrank.to_numpy import to_numpy

__all__ = ["energy_inside", "singular_task_interference"]


def singular_task_interference(adapters: Sequence[Adapter]) -> float:
    """Give the mean over target modules of ||(U^T U - I) S (V^T V - I)||_1.

    U, S, V: the K deltas' singular vectors and values side by side, each delta's of its own rank
    (Gargiulo et al., "Task Singular Vectors", arXiv 2412.00081: Singular Task Interference). 0
    where all are orthogonal on either side. The norm is read as the sum of sizes of all entries,
    which singular vectors' signs leave alone. Modules that the first adapter and at least one other
    change count; NaN where there is none.
    """
    found = []
    for module, own in adapters[0].items():
        one = _singular(own.terms)
        others = (_singular(each[module].terms) for each in adapters[1:] if module in each)
        held = [each for each in others if len(each.values)]
        if held and len(one.values):
            found.append(_of_module([one, *held]))
    return math.fsum(found) / len(found) if found else math.nan


class _Singular(NamedTuple):
    """U (out_features, r), values (r,), V (in_features, r); none of them where a delta is zero."""

    U: np.ndarray
    values: np.ndarray
    V: np.ndarray


def _singular(terms: Terms) -> _Singular:
    split = canonical(terms)
    values = sizes(split)
    if not values.any():
        return _Singular(split.B[:, :0], values[:0], split.A[:0].T)
    few = significant(values)  # a direction that is rounding has no place of its own
    U, V = sides(split)
    return _Singular(U[:, :few], values[:few], V[:, :few])


def _of_module(held: Sequence[_Singular]) -> float:
    U, V = (np.concatenate(side, axis=1) for side in zip(*((h.U, h.V) for h in held), strict=True))
    values = np.concatenate([each.values for each in held])
    apart = np.eye(len(values))
    return float(np.abs((U.T @ U - apart) * values @ (V.T @ V - apart)).sum())


def energy_inside(own: Adapter, rest: Adapter) -> float:
    """Give sum_m ||Q Q^T dW_m P P^T||_F^2 of `rest`.

    Q, P: orthonormal bases of the outputs that `own` writes to and of the inputs that it reads in
    module m.
    """
    return math.fsum(
        _inside(delta.terms, rest[module].terms) for module, delta in own.items() if module in rest
    )


def _inside(own: Terms, rest: Terms) -> float:
    c, B, A = stack(rest, "float64")
    middle = (output_basis(own).T @ to_numpy(B)) @ (to_numpy(A) @ input_basis(own))
    return float(np.sum((c * middle) ** 2))
