"""One split of a delta into factors, and one basis for several deltas, whatever their files hold.

The same dW = B A has as many splits as there are invertible R (A -> R A, B -> B R^-1). What is
computed from the canonical split, or in the shared basis, depends on the deltas alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from superpose.lowrank.tall import tall_qr
from superpose.lowrank.terms import Array, Term, Terms, formed, nonzero, rank
from superpose.lowrank.to_numpy import to_numpy
from superpose.lowrank.truncation import truncated

NEGLIGIBLE = 1e-6
"""A direction this weak beside the strongest is none where all are made alike: one delta in two
splits, each rounded to float32, differs by 1e-7."""

_ROUNDING = 1e-13
"""The same where nothing is made larger than it is."""


@dataclass(frozen=True, eq=False)
class Shared:
    """K deltas of one target module between two bases: dW_k = outputs @ middles[k] @ inputs^T.

    outputs (out_features, m), inputs (in_features, n): orthonormal columns. lefts, rights: of each
    delta (m, r_k) and (n, r_k), so that middles[k] (m, n) is lefts[k] @ rights[k]^T; the middles
    of many adapters are far more numbers. float64, NumPy.
    """

    outputs: Array
    lefts: tuple[Array, ...]
    rights: tuple[Array, ...]
    inputs: Array

    @cached_property
    def middles(self) -> tuple[Array, ...]:
        """K of (m, n)."""
        pairs = zip(self.lefts, self.rights, strict=True)
        return tuple(left @ right.T for left, right in pairs)

    def back(self, middle: Array) -> Term:
        """Give outputs @ middle @ inputs^T, of whatever is made of the middles, as one term."""
        high, wide = middle.shape
        if high < wide:
            return Term(1.0, self.outputs, middle @ self.inputs.T)
        return Term(1.0, self.outputs @ middle, self.inputs.T)


def canonical(terms: Terms) -> Term:
    """Give the delta as Term(1.0, U sqrt(s), sqrt(s) V^T), of its SVD U s V^T.

    QR of both stacked factors, SVD of the core. NumPy float64, rank its own (1 where it is zero).
    In each column of U the entry of largest size is positive; equal singular values leave the
    split open, and nothing else. Raises Refused as `formed` does.
    """
    terms = formed(nonzero(terms))
    return without_zeros(truncated(terms, rank(terms)).term)


def without_zeros(term: Term) -> Term:
    """Give a truncated term without the columns that are zero, and at least one; NumPy."""
    B, A = to_numpy(term.B), to_numpy(term.A)
    few = max(1, int(np.count_nonzero(B.any(axis=0))))
    return Term(1.0, B[:, :few], A[:few])


def sizes(term: Term) -> Array:
    """Give the singular values of a delta in its canonical split: (rank,), descending."""
    return np.einsum("ij,ij->j", term.B, term.B)


def sides(term: Term) -> tuple[Array, Array]:
    """Give U (out_features, rank) and V (in_features, rank) of a canonical split that is not 0."""
    length = np.sqrt(sizes(term))
    return term.B / length, term.A.T / length


def shared(splits: Sequence[Term]) -> Shared:
    """Bring K deltas of one target module between two bases of all of them.

    splits: canonical, not all zero. outputs are the eigenvectors of sum_k (dW_k dW_k^T)^(1/2),
    inputs those of sum_k (dW_k^T dW_k)^(1/2), in descending order: the singular vectors of the
    stacked canonical factors, which depend neither on the order of the adapters nor on how their
    files split them. R^2 (d_in + d_out) operations for the stacked rank R.
    """
    outputs, lefts = _basis([split.B for split in splits])
    inputs, rights = _basis([split.A.T for split in splits])
    return Shared(outputs, tuple(lefts), tuple(rights), inputs)


def significant(values: Array) -> int:
    """Count the singular values, descending, that are no rounding of a file beside the first."""
    return int(np.count_nonzero(values > NEGLIGIBLE * values[0])) if values.size else 0


def polar(x: Array) -> Array:
    """Give the nearest matrix with orthonormal columns: P Q^T of x = P diag(s) Q^T.

    x: (m, n), tall. Directions that x does not have (s negligible beside the largest) stay out, so
    that dependent columns give the partial isometry and not something at random.
    """
    P, s, Qt = tall_svd(x)
    few = significant(s)
    return np.asarray(P[:, :few] @ Qt[:few])


def tall_svd(x: Array) -> tuple[Array, Array, Array]:
    """Give P, s, Q^T of x = P diag(s) Q^T. x: (m, n), tall: it costs m n^2 and no more."""
    basis, R = tall_qr(x)
    P, s, Qt = np.linalg.svd(R, full_matrices=False)
    return basis.times(P), s, Qt


def _basis(blocks: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Give the left singular vectors of the blocks side by side, and each block's coordinates."""
    P, s, Qt = tall_svd(np.concatenate(blocks, axis=1))
    few = max(1, int(np.count_nonzero(s > _ROUNDING * s[0])))
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    return P[:, :few], np.split(s[:few, None] * Qt[:few], ends, axis=1)
