"""QR of a tall matrix, by products where its columns are far from dependent.

Householder's QR works column by column and so at the speed of memory; two rounds of Cholesky QR
are a few products of matrices, several times quicker on stacked factors. The first round loses
orthogonality with the square of the columns' condition, the second brings it back to rounding
(Yamamoto, Nakatsukasa, Yanagisawa, Fukaya 2015, "Roundoff error analysis of the CholeskyQR2
algorithm", ETNA 44). Columns that are nearly dependent, as those of terms that cancel, take
Householder's: of them no figure may be squared.
"""

from __future__ import annotations

from typing import NamedTuple

from superpose.lowrank.terms import Array, namespace_of

__all__ = ["Orthonormal", "tall_qr"]

_FEW = 16
"""Below so many columns, or with less than four times as many rows, Householder's is as quick."""

_APART = 1e-3
"""Least eigenvalue of the unit columns' Gram matrix; trained adapters' stacked factors have 1e-2.

With it what R misses of the matrix is at most some 30 roundings, which is less than what is taken
for rounding elsewhere in this package.
"""

_TINY = 1e-100
"""A column shorter than this has squares that are no longer exact."""


class Orthonormal(NamedTuple):
    """Orthonormal columns Q = columns @ turn, (m, n), kept as two: few columns of it are wanted.

    columns (m, n). turn (n, n), or None where the columns are Q already.
    """

    columns: Array
    turn: Array | None

    def times(self, small: Array) -> Array:
        """Give Q @ small, (m, k). small: (n, k)."""
        return self.columns @ (small if self.turn is None else self.turn @ small)


def tall_qr(x: Array) -> tuple[Orthonormal, Array]:
    """Give a basis Q of x's columns and R (n, n), upper triangular, so that x = Q R.

    x: (m, n), float64. Where m < n, Q is (m, m) and R (m, n).
    """
    return _by_products(x) or _by_columns(x)


def _by_columns(x: Array) -> tuple[Orthonormal, Array]:
    Q, R = namespace_of(x).linalg.qr(x)
    return Orthonormal(Q, None), R


def _by_products(x: Array) -> tuple[Orthonormal, Array] | None:
    """Cholesky QR, twice; None where that is not quicker or not as exact."""
    xp = namespace_of(x)
    rows, columns = x.shape
    if columns < _FEW or rows < 4 * columns:
        return None
    gram = xp.matrix_transpose(x) @ x
    length = xp.sqrt(xp.linalg.diagonal(gram))
    if float(xp.min(length)) < _TINY:
        return None
    unit = gram / (length[:, None] * length[None, :])
    if float(xp.linalg.eigvalsh(unit)[0]) < _APART:
        return None
    first = xp.matrix_transpose(xp.linalg.cholesky(unit)) * length[None, :]
    nearly = x @ xp.linalg.inv(first)
    second = xp.matrix_transpose(xp.linalg.cholesky(xp.matrix_transpose(nearly) @ nearly))
    return Orthonormal(nearly, xp.linalg.inv(second)), second @ first
