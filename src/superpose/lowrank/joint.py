"""One pair of subspaces for many small matrices: joint low rank, from factors.

For D_k = left_k @ right_k^T the orthonormal U, V of r columns are sought for which
sum_k |U^T D_k V|^2 is largest, that is, sum_k |D_k - U (U^T D_k V) V^T|^2 least: the Tucker-2
decomposition of the D_k side by side, by higher-order orthogonal iteration (De Lathauwer, De Moor
and Vandewalle, SIAM J. Matrix Anal. Appl. 21, 2000). Each step is the best answer for one side with
the other held, so that the sum never falls; it ends in a local maximum, which need not be the
largest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superpose.lowrank.canonical_split import NEGLIGIBLE
from superpose.lowrank.terms import Array

ROUNDS = 30
"""Of the alternation, at most."""


def subspaces(
    lefts: Sequence[Array], rights: Sequence[Array], rank: int, tolerance: float = 0.0
) -> tuple[Array, Array]:
    """Give U (m, at most rank) and V (n, at most rank), orthonormal columns, by 30 rounds.

    lefts (m, r_k), rights (n, r_k): not all zero. tolerance: end once a round gains less of the
    sum than this share; 0 takes all rounds, so that no split of the factors ends earlier than
    another. Directions negligible beside the first are left out. A round costs
    (m^2 + n^2) sum_k r_k + m^3 + n^3 operations.
    """
    U, _ = _leading(lefts, [right.T for right in rights], rank)
    V, before = _leading(rights, [left.T for left in lefts], rank)
    for _ in range(ROUNDS):
        U, _ = _leading(lefts, [right.T @ V for right in rights], rank)
        V, now = _leading(rights, [left.T @ U for left in lefts], rank)
        if 0.0 <= now - before < tolerance * now:
            break
        before = now
    return U, V


def one_length(lengths: Sequence[float], beta: float = 0.0) -> list[float]:
    """Give what matrices of these lengths are multiplied with so that small ones count as well.

    beta: 0 brings all to their mean length, 1 leaves them as they are (arXiv 2606.03723).
    """
    mean = float(np.mean(lengths))
    return [beta + (1.0 - beta) * mean / length for length in lengths]


def _leading(sides: Sequence[Array], others: Sequence[Array], rank: int) -> tuple[Array, float]:
    """Give the leading left singular vectors of all sides[k] @ others[k], side by side.

    sides (m, r_k), others (r_k, any). Also the sum of squares of their singular values. They are
    eigenvectors of sum_k side (other other^T) side^T, and no matrix is wider than m or sum r_k.
    """
    wide = np.concatenate(
        [side @ (other @ other.T) for side, other in zip(sides, others, strict=True)], axis=1
    )
    gram = wide @ np.concatenate(sides, axis=1).T
    values, vectors = np.linalg.eigh((gram + gram.T) / 2.0)
    few = min(rank, int(np.count_nonzero(values > NEGLIGIBLE**2 * values[-1])))
    first = slice(len(values) - max(1, few), None)
    return vectors[:, first][:, ::-1], float(values[first].sum())
