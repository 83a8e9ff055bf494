"""The sides of a delta: the outputs it writes to and the inputs it reads from.

The output side is the column space of B, the input side the row space of A. Two deltas can be
orthogonal (cosine 0) and still write to the same outputs. The overlap of two subspaces with
orthonormal bases Q_i, Q_j is |Q_i^T Q_j|_F^2 / min(r_i, r_j): 1 when one contains the other, 0 when
they are orthogonal, and max(r_i, r_j) / d on average for two random ones of d dimensions. It is the
mean squared cosine of the principal angles (Bjorck and Golub, Mathematics of Computation 27, 1973).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from superpose.lowrank.stacking import stacked_inputs, stacked_outputs
from superpose.lowrank.terms import Array, Terms, formed, namespace, namespace_of, nonzero
from superpose.lowrank.to_numpy import to_numpy

WEAKEST = 1e-6
"""A direction this weak beside the strongest, factors' columns brought to length 1, is rounding:
float32 arithmetic leaves 1e-7 where a dependence is exact, and trained factors stay far above."""

_SURE = 1e6
"""Up to this condition a Gram matrix is inverted as it is; beyond, its rank is looked at."""


class _Stacked(Protocol):
    def __call__(self, terms: Terms, dtype: str, /) -> Array: ...


class Overlaps(NamedTuple):
    """One side's overlaps in M target modules among K deltas.

    values (M, K, K): NaN where one of the two has no side (a zero factor, or None). ranks (M, K):
    dimension of each side. condition (M, K): of each side's Gram matrix, columns at length 1; the
    relative error of `values` is about the condition times the Gram matrix's own.
    """

    values: np.ndarray
    ranks: np.ndarray
    condition: np.ndarray


def output_basis(terms: Terms) -> Array:
    """Give an orthonormal basis of the column space of [B_1, ..., B_K]: (out_features, r), float64.

    r is the numerical rank, 0 for a delta without a nonzero factor. Terms of coefficient 0 do not
    count.
    """
    return _basis(terms, stacked_outputs)


def input_basis(terms: Terms) -> Array:
    """Give an orthonormal basis of the row space of [A_1; ...; A_K]: (in_features, r), float64."""
    terms = formed(nonzero(terms))
    xp = namespace(terms)
    return _basis(terms, lambda t, dtype: xp.matrix_transpose(stacked_inputs(t, dtype)))


def overlap(x: Array, y: Array) -> float:
    """Give |x^T y|_F^2 / min(r_x, r_y) of two orthonormal bases (d, r_x) and (d, r_y).

    Between 0 and 1. Its floor, for two random subspaces, is max(r_x, r_y) / d. NaN when one basis
    is empty.
    """
    smaller = min(int(x.shape[1]), int(y.shape[1]))
    if smaller == 0:
        return float("nan")
    return min(1.0, float(np.sum(_crossed(x, y) ** 2)) / smaller)


def principal_angles(x: Array, y: Array) -> np.ndarray:
    """Give the principal angles of two orthonormal bases in radians, ascending: (min(r_x, r_y),).

    0 is a shared direction, pi/2 an orthogonal one. NumPy float64; angles below 1e-8 are lost in
    the arccosine.
    """
    cosines = np.linalg.svd(_crossed(x, y), compute_uv=False)
    return np.asarray(np.arccos(np.clip(cosines, 0.0, 1.0)))


def overlaps(side: np.ndarray, ranks: Sequence[int], coefficients: np.ndarray) -> Overlaps:
    """Give all pairs' overlaps of one side from its Gram matrices alone.

    side (M, R, R): `SideGrams.output` or `.input`; ranks: of the K deltas, R in sum; coefficients
    (M, R): zeros mark what does not count. With P_i the inverse of block G_ii the overlap is
    sum((P_i G_ij) * (G_ij P_j)) / min(r_i, r_j): no tall matrix is touched again.
    """
    unit, real = _unit_columns(side, coefficients)
    ends = np.cumsum(ranks)
    spans = [slice(end - r, end) for end, r in zip(ends, ranks, strict=True)]
    inverses = [_pseudo_inverse(unit[:, s, s], real[:, s]) for s in spans]
    count = np.stack([rank for _, rank, _ in inverses], axis=1)
    values = np.full((len(side), len(spans), len(spans)), np.nan)
    right = np.empty_like(unit)
    for span, (inverse, _, _) in zip(spans, inverses, strict=True):
        right[:, :, span] = unit[:, :, span] @ inverse
    live = np.flatnonzero(ranks)  # the others have no columns
    for at, i in enumerate(live):
        row, end, others = spans[i], ends[i], live[: at + 1]
        products = np.einsum(
            "mrc,mrc->mc", inverses[i][0] @ unit[:, row, :end], right[:, row, :end]
        )
        shared = np.add.reduceat(products, ends[others] - np.asarray(ranks)[others], axis=1)
        smaller = np.minimum(count[:, [i]], count[:, others])
        ratio = np.where(smaller > 0, shared / np.maximum(smaller, 1), np.nan)
        values[:, i, others] = values[:, others, i] = np.clip(ratio, 0.0, 1.0)
    return Overlaps(values, count, np.stack([c for _, _, c in inverses], axis=1))


def _basis(terms: Terms, stacked: _Stacked) -> Array:
    terms = formed(nonzero(terms))
    xp = namespace(terms)
    x = stacked(terms, "float64")
    length = xp.sqrt(xp.sum(x * x, axis=0))
    q, r = xp.linalg.qr(x / xp.where(length > 0.0, length, xp.ones_like(length)))
    u, s, _ = xp.linalg.svd(r, full_matrices=False)
    strengths = to_numpy(s)
    return q @ u[:, : int(np.sum(strengths > WEAKEST * max(strengths[0], 1e-300)))]


def _crossed(x: Array, y: Array) -> np.ndarray:
    xp = namespace_of(x, y)
    return to_numpy(xp.matrix_transpose(x) @ y)


def _unit_columns(side: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale the stacked factor's columns to length 1, those that do not count to 0."""
    squares = np.diagonal(side, axis1=1, axis2=2)
    real = (squares > 0.0) & (coefficients != 0.0)
    scale = np.where(real, 1.0 / np.sqrt(np.where(real, squares, 1.0)), 0.0)
    return side * scale[:, :, None] * scale[:, None, :], real


def _pseudo_inverse(
    gram: np.ndarray, real: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give inverse (M, r, r), rank (M,) and condition (M,) of Gram matrices with unit diagonal.

    Zero rows are none of the matrix. Plain inversion where the condition allows it; elsewhere the
    eigenvectors of directions stronger than WEAKEST.
    """
    absent = np.eye(gram.shape[-1]) * ~real[:, None, :]
    padded = gram + absent
    try:
        inverse = np.linalg.inv(padded)
    except np.linalg.LinAlgError:  # One singular matrix spoils the stack: look at them all.
        inverse = np.full_like(padded, np.inf)
    condition = np.linalg.norm(padded, axis=(1, 2)) * np.linalg.norm(inverse, axis=(1, 2))
    rank = real.sum(axis=1)
    inverse = np.where(real[:, :, None] & real[:, None, :], inverse, 0.0)
    for m in np.flatnonzero(~(condition < _SURE)):
        strengths, directions = np.linalg.eigh(gram[m])
        kept = strengths > WEAKEST**2 * max(strengths[-1], 1e-300)
        directions = directions[:, kept]
        inverse[m] = (directions / strengths[kept]) @ directions.T
        rank[m] = kept.sum()
    return inverse, rank, condition
