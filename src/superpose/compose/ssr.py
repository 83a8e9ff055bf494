"""SSR: the regression of RegMean between the inputs that the adapters read already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.compose.from_inputs import FromInputs, read_by
from superpose.lowrank.canonical_split import tall_svd
from superpose.lowrank.second_moment import SecondMoment, regressed
from superpose.lowrank.terms import Array

_DEPENDENT = 1e-10
"""A direction this weak, of bases side by side, is rounding: the adapters read it twice."""


@dataclass(frozen=True)
class Ssr(FromInputs):
    """argmin of RegMean's sum_k |(dW - lambda_k dW_k) X_k|^2 among dW that read what the A_k read.

    In the published form, of z = A x with A = [A_1; ..; A_K], G = sum z z^T over all rows and Q_k
    the rows of block k of the same sum over domain k's rows, the result is B (Q G^-1) A. It is
    RegMean in the space of the ranks: no d x d matrix, for layers that are wide. SSR-Merge, arXiv
    2606.10617. There the ridge is added in the coordinates of the files' own A, here in an
    orthonormal basis V of their rows: A_k' = lambda_k A_k C_k V (V^T sum_j C_j V + eps I)^-1 V^T,
    which depends on the deltas alone. Domains that do not reach each other's inputs give
    the sum; an adapter that alone has a module comes back there, but for the ridge.

    statistics, ridge, rank, and what is raised: as in `FromInputs`; eps is the ridge by the mean
    diagonal of V^T sum_j C_j V.
    """

    name: ClassVar[str] = "ssr"
    what: ClassVar[str] = "the regression in the space of the ranks"
    counts_all: ClassVar[bool] = False

    def solved(
        self, rows: Sequence[Array], moments: Sequence[SecondMoment], ridge: float
    ) -> list[Array]:
        """Give lambda_k A_k C_k V (V^T sum_j C_j V + eps I)^-1 V^T."""
        bases = [read_by(A) for A in rows]
        V, s, _ = tall_svd(np.concatenate(bases, axis=1))
        V = V[:, s > _DEPENDENT * s.max(initial=0.0)]
        inside = [moment.between(V) for moment in moments]
        if not any(moment.trace for moment in inside):
            return [0.0 * A for A in rows]
        return [A @ V.T for A in regressed([A @ V for A in rows], inside, ridge)]
