"""The figures of target modules in which an adapter has a product that is not formed.

A Kronecker product's sides are Kronecker products of its two matrices' sides: with bases Q1 (x) Q2
and P1 (x) P2 of one split the overlap is |Q1^T P1|^2 |Q2^T P2|^2 over the smaller rank. What has no
basis that can be held (a LoHa of high rank, a sum with an unformed part) has no overlap: NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from superpose.lowrank import (
    Kronecker,
    Overlaps,
    Term,
    Terms,
    input_basis,
    is_unformed,
    nonzero,
    output_basis,
)
from superpose.lowrank.kronecker import Side, columns_of, kronecker_times, whole
from superpose.lowrank.sides import WEAKEST

Array: TypeAlias = Any

Basis: TypeAlias = tuple[Array, ...]
"""Orthonormal matrices whose Kronecker product is the basis: one, or two."""

_CHUNK = 256
"""Columns of a basis that are formed at once."""


def unformed_modules(rows: Sequence[Sequence[Terms | None]]) -> list[int]:
    """Give the positions of the modules in which a delta has an unformed term."""
    return [m for m, row in enumerate(rows) if any(t is not None and is_unformed(t) for t in row)]


def side_overlaps(row: Sequence[Terms | None]) -> tuple[Overlaps, Overlaps]:
    """Give the overlaps of the outputs and of the inputs of K deltas of one module, M being 1."""
    outputs = [None if terms is None else _bases(terms, True) for terms in row]
    inputs = [None if terms is None else _bases(terms, False) for terms in row]
    return _overlaps(outputs), _overlaps(inputs)


def _overlaps(bases: Sequence[Basis | None]) -> Overlaps:
    values = np.full((len(bases), len(bases)), np.nan)
    ranks = np.array([0 if basis is None else _rank(basis) for basis in bases])
    for i, x in enumerate(bases):
        for j, y in enumerate(bases[: i + 1]):
            if x is not None and y is not None:
                values[i, j] = values[j, i] = _overlap(x, y)
    return Overlaps(values[None], ranks[None], np.zeros((1, len(bases))))


def _bases(terms: Terms, outputs: bool) -> Basis | None:
    live = nonzero(terms)
    if not is_unformed(live):
        return (output_basis(live) if outputs else input_basis(live),)
    if len(live) > 1 or not isinstance(live[0], Kronecker):
        return None
    return _basis(live[0].first, outputs), _basis(live[0].second, outputs)


def _basis(side: Side, outputs: bool) -> Array:
    """Give the basis of one matrix's outputs or inputs: of its factors', where it has factors."""
    factor = whole(side[:1] if outputs else side[-1:])
    tall = factor if outputs else factor.T
    if tall.shape[0] >= tall.shape[1]:
        return output_basis((Term(1.0, tall, np.eye(tall.shape[1])),))
    # A whole matrix need not have all directions of its smaller side.
    U, s, _ = np.linalg.svd(tall, full_matrices=False)
    return U[:, s > WEAKEST * s[0]]


def _rank(basis: Basis) -> int:
    return math.prod(int(Q.shape[1]) for Q in basis)


def _overlap(x: Basis, y: Basis) -> float:
    smaller, larger = sorted((_rank(x), _rank(y)))
    if smaller == 0:
        return math.nan
    if larger == math.prod(len(Q) for Q in x):  # all of the space
        return 1.0
    if [len(Q) for Q in x] == [len(P) for P in y]:
        shared = math.prod(float(np.sum((Q.T @ P) ** 2)) for Q, P in zip(x, y, strict=True))
    else:
        shared = math.fsum(float(np.sum(_transposed_times(x, part) ** 2)) for part in _columns(y))
    return min(1.0, shared / smaller)


def _columns(basis: Basis) -> Iterator[Array]:
    """Give the basis a few columns at a time."""
    for begin in range(0, _rank(basis), _CHUNK):
        at = np.arange(begin, min(begin + _CHUNK, _rank(basis)))
        if len(basis) == 1:
            yield basis[0][:, at]
        else:
            i, j = np.divmod(at, basis[1].shape[1])
            yield columns_of(basis[0][:, i], basis[1][:, j])


def _transposed_times(basis: Basis, x: Array) -> Array:
    if len(basis) == 1:
        return basis[0].T @ x
    return kronecker_times(basis[0].T, basis[1].T, x)
