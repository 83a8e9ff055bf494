"""A merged delta with other singular values: what post-steps change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from superpose.compose.by_module import Array, Result
from superpose.lowrank import Term
from superpose.lowrank.canonical_split import canonical, sides, sizes

Change: TypeAlias = Callable[[Array, Array, Array], Array]
"""Of U (out_features, n), sigma (n,) descending and not all zero, V^T (n, in_features): sigma's."""


def with_spectrum(merged: Result, change: Change) -> Result:
    """Give U diag(change(U, sigma, V^T)) V^T of a merged delta, formed where that is."""
    if not isinstance(merged, tuple):
        U, sigma, Vt = np.linalg.svd(merged, full_matrices=False)
        return np.asarray((U * change(U, sigma, Vt)) @ Vt) if sigma[0] > 0.0 else merged
    split = canonical(merged)
    if not split.B.any():
        return (split,)
    U, V = sides(split)
    return (Term(1.0, U * change(U, sizes(split), V.T), V.T),)
