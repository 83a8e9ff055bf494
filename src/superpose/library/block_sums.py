"""Sums over the blocks of a matrix of products, on any array-API namespace's arrays."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from array_api_compat import device as array_device

from superpose.lowrank.terms import namespace_of
from superpose.lowrank.to_numpy import to_numpy

Array: TypeAlias = Any


def block_sums(product: Array, rows: Array, columns: Array) -> Array:
    """Sum the blocks of a matrix (R, S) in its own precision: NumPy float64 (k, l).

    rows (k,), columns (l,): where each block begins, NumPy. Of another namespace than NumPy's,
    blocks of one height are summed at once: the array API has no sums of unequal groups.
    """
    if namespace_of(product) is np:
        whole = np.add.reduceat(np.add.reduceat(product, columns, axis=1), rows, axis=0)
        return np.asarray(whole, np.float64)
    whole = _summed(product, rows)
    return to_numpy(_summed(namespace_of(product).matrix_transpose(whole), columns)).T


def _summed(x: Array, starts: Array) -> Array:
    """Sum over groups of rows: (R, n) to (k, n)."""
    xp = namespace_of(x)
    heights = np.diff(np.append(starts, x.shape[0]))
    parts, order = [], []
    for height in np.unique(heights):
        groups = np.flatnonzero(heights == height)
        at = (starts[groups][:, None] + np.arange(height)).ravel()
        taken = xp.take(x, _indices(at, x), axis=0)
        parts.append(xp.sum(xp.reshape(taken, (len(groups), int(height), x.shape[1])), axis=1))
        order.append(groups)
    back = np.argsort(np.concatenate(order))
    return xp.take(xp.concat(parts, axis=0), _indices(back, x), axis=0)


def _indices(at: Array, like: Array) -> Array:
    xp = namespace_of(like)
    return xp.asarray(at, dtype=xp.int64, device=array_device(like))
