"""Inner products of deltas from their factors alone.

<dW_i, dW_j> = c_i c_j sum((B_i^T B_j) * (A_i A_j^T)), summed over the terms: r_i r_j (d_in + d_out)
operations, and no (out_features, in_features) matrix. K deltas at once: their factors side by side
give two Gram matrices, B^T B and A A^T, each (R, R) with R the sum of all ranks; the elementwise
product's block sums are the (K, K) inner products. The overlaps of `sides` come from the same two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from array_api_compat import device as array_device

from superpose.lowrank.careful import units
from superpose.lowrank.core import core
from superpose.lowrank.kronecker import rearranged
from superpose.lowrank.operator import gram_of, norm_of
from superpose.lowrank.terms import (
    CANCELLING,
    Array,
    Term,
    Terms,
    formed,
    is_unformed,
    namespace,
    nonzero,
    rank,
    shape,
)
from superpose.lowrank.to_numpy import to_numpy

Module: TypeAlias = Sequence[Terms | None]
"""The K deltas of one target module; None where an adapter does not have it."""

_SMALLEST = 1e-280
"""Squared norms below it, or above its inverse, are close to the end of float64."""

_MOST_GRAMS = 1 << 21
"""Entries of the Gram matrices of modules that are taken together: 16 MB in float64, and as much
again for each array that is made of them."""

_CHUNK = 1 << 18
"""Entries of a side stacked at once: what stays in a core's cache between widening and product."""


class SideGrams(NamedTuple):
    """Both Gram matrices of M target modules with one layout of ranks.

    modules (M,): their positions in the input. ranks: of each of the K deltas, 0 for None; R is
    their sum. coefficients (M, R): of the term each rank belongs to. output (M, R, R): B^T B.
    input (M, R, R): A A^T. NumPy float64 throughout.
    """

    modules: np.ndarray
    ranks: tuple[int, ...]
    coefficients: np.ndarray
    output: np.ndarray
    input: np.ndarray

    def inner(self) -> np.ndarray:
        """Give the (M, K, K) inner products; zeros beside a None."""
        left = self.coefficients[:, :, None] * self.output * self.input
        return self.blocks(left * self.coefficients[:, None, :])

    def sizes(self) -> np.ndarray:
        """Give the (M, K) sums of the sizes of each delta's terms, of which its norm is a part."""
        squares = (np.diagonal(side, axis1=1, axis2=2) for side in (self.output, self.input))
        lengths = np.sqrt(math.prod(squares))
        return np.asarray((np.abs(self.coefficients) * lengths) @ self._owner)

    def blocks(self, x: np.ndarray) -> np.ndarray:
        """Sum each (r_i, r_j) block of x (M, R, R): (M, K, K)."""
        return np.asarray(self._owner.T @ x @ self._owner)

    @property
    def _owner(self) -> np.ndarray:
        """Say with 1 and 0 which delta each rank belongs to: (R, K)."""
        return np.repeat(np.eye(len(self.ranks)), self.ranks, axis=0)


def inner(x: Terms, y: Terms) -> float:
    """Give <x, y> = sum of dW_x * dW_y over all entries, in float64.

    x, y: of one shape. Invariant under A -> RA, B -> B R^-1. Raises ValueError when shapes differ.
    """
    return float(gram((x, y))[0, 1])


def share(x: Terms, y: Terms, own: tuple[float, float], lengths: tuple[float, float]) -> float:
    """Give <x, y> / (lengths[0] lengths[1]), whatever the size of the factors.

    own: the norms of x and y. lengths: of the wholes that they are parts of, positive. Where
    squares leave float64, or have lost what cancelling terms leave, it comes from a QR.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found = gram((x, y))
        squares = np.array(own) ** 2
    if is_unformed((*x, *y)) or (
        np.all((squares > _SMALLEST) & (squares < 1 / _SMALLEST))
        and np.all(np.abs(found.diagonal() / squares - 1.0) < CANCELLING)
    ):
        return float(found[0, 1]) / lengths[0] / lengths[1]
    cosine = float(units((x, y)).cosines[0, 1])
    return cosine * (own[0] / lengths[0]) * (own[1] / lengths[1])


def norm(terms: Terms) -> float:
    """Give the Frobenius norm |dW|, in float64; never NaN for finite factors.

    Right for near-cancelling terms too, as of the difference of two deltas that are almost one:
    where squares have lost it, it comes from a QR (`core`), which resolves 2e-15 of the size of
    the terms; what lies below that is 0.
    """
    if is_unformed(terms):
        short = rearranged(nonzero(terms))
        if short is None:
            return norm_of(terms)
        terms = short
    with np.errstate(over="ignore", invalid="ignore"):  # squares that leave float64 are seen below
        (group,) = side_grams(((terms,),))
        square = float(group.inner()[0, 0, 0])
        size = float(group.sizes()[0, 0])
    if max(CANCELLING * size * size, _SMALLEST) < square < math.inf:
        return math.sqrt(square)
    return norm_without_squares(terms)


def norm_without_squares(terms: Terms) -> float:
    """Give the Frobenius norm |dW| from a QR of the factors, in float64.

    Right to rounding where what a single term is made of cancels too; what lies below that is 0.
    """
    found = core(terms)
    length = float(np.linalg.norm(to_numpy(found.middle)))
    return length * found.scale if length > float(found.rounding) else 0.0


def gram(deltas: Module) -> np.ndarray:
    """Give the (K, K) inner products of K deltas of one target module, NumPy float64.

    deltas: Terms of one shape, or None for one that is not there (its row and column are 0).
    Raises ValueError when shapes differ.
    """
    return np.asarray(grams((deltas,))[0])


def grams(modules: Sequence[Module], precision: str = "float64") -> np.ndarray:
    """Give the (M, K, K) inner products of K deltas in each of M target modules, NumPy float64.

    modules: M sequences of K entries, each Terms or None. Modules of one shape and one layout of
    ranks are taken together. precision: of the long products, "float64" or "float32"; float32 is
    twice as quick and good to about 1e-6 of |dW_i| |dW_j|, which is no good for the norm of a
    difference of near equals. Raises ValueError when the shapes of one module differ.
    """
    deltas = len(modules[0]) if modules else 0
    result = np.zeros((len(modules), deltas, deltas))
    unformed = [m for m, row in enumerate(modules) if any(t and is_unformed(t) for t in row)]
    for m in unformed:
        _same_layout((modules[m],))  # shapes
        result[m] = gram_of(modules[m])
    others = np.setdiff1d(np.arange(len(modules)), unformed)
    for group in side_grams([modules[m] for m in others], precision):
        result[others[group.modules]] = group.inner()
    return result


def side_grams(modules: Sequence[Module], precision: str = "float64") -> Iterator[SideGrams]:
    """Give both Gram matrices of every target module, in groups of one layout of ranks.

    Each factor is read once, and formed where it is not. Arguments and errors as for `grams`; a
    module that no delta has is left out.
    """
    for positions in _held_at_once(_same_layout(modules), modules):
        group = [_joined(modules[m]) for m in positions]
        outputs, inputs = _both_sides(group, precision)
        yield SideGrams(
            modules=np.asarray(positions),
            ranks=tuple(0 if t is None else rank(t) for t in modules[positions[0]]),
            coefficients=np.asarray([_coefficients(terms) for terms in group]),
            output=outputs,
            input=inputs,
        )


def _same_layout(modules: Sequence[Module]) -> dict[tuple[object, ...], list[int]]:
    groups: dict[tuple[object, ...], list[int]] = {}
    for position, deltas in enumerate(modules):
        shapes = {shape(terms) for terms in deltas if terms is not None}
        if len(shapes) > 1:
            raise ValueError(f"deltas of one target module differ in shape: {sorted(shapes)}")
        if shapes:
            layout = (*shapes, *(0 if terms is None else rank(terms) for terms in deltas))
            groups.setdefault(layout, []).append(position)
    return groups


def _held_at_once(
    layouts: dict[tuple[object, ...], list[int]], modules: Sequence[Module]
) -> Iterator[list[int]]:
    """Give the positions of each layout, as many at once as have Gram matrices of 16 MB."""
    for positions in layouts.values():
        total = sum(rank(terms) for terms in modules[positions[0]] if terms is not None)
        few = max(1, _MOST_GRAMS // (2 * total * total))
        for begin in range(0, len(positions), few):
            yield positions[begin : begin + few]


def _joined(deltas: Module) -> tuple[Term, ...]:
    return formed(term for terms in deltas if terms is not None for term in terms)


def _coefficients(terms: Terms) -> list[float]:
    return [term.coefficient for term in terms for _ in range(term.rank)]


def _both_sides(group: list[tuple[Term, ...]], precision: str) -> tuple[np.ndarray, np.ndarray]:
    """Give B^T B and A A^T, each (M, R, R), of M modules whose terms have one layout.

    Stacks of as many modules as fit the cache; the two stacks are allocated once and filled again,
    with the widening done by the assignment: half of the whole time otherwise.
    """
    (out_features, in_features), total = shape(group[0]), rank(group[0])
    size = min(len(group), max(1, _CHUNK // (total * max(out_features, in_features))))
    xp, dtype = _working_type(group, precision)
    device = array_device(group[0][0].B)
    B = xp.empty((size, out_features, total), dtype=dtype, device=device)
    A = xp.empty((size, total, in_features), dtype=dtype, device=device)
    outputs, inputs = [], []
    for start in range(0, len(group), size):
        chunk = group[start : start + size]
        _fill(B, A, chunk)
        b, a = B[: len(chunk), ...], A[: len(chunk), ...]
        outputs.append(to_numpy(xp.matrix_transpose(b) @ b))
        inputs.append(to_numpy(a @ xp.matrix_transpose(a)))
    return np.concatenate(outputs), np.concatenate(inputs)


def _fill(B: Array, A: Array, chunk: list[tuple[Term, ...]]) -> None:
    for m, terms in enumerate(chunk):
        end = 0
        for _, b, a in terms:
            start, end = end, end + int(a.shape[0])
            B[m, :, start:end] = b
            A[m, start:end, :] = a


def _working_type(group: list[tuple[Term, ...]], precision: str) -> tuple[Array, Array]:
    """Give the namespace, and the widest of `precision` and the factors' own types."""
    terms = [term for terms in group for term in terms]
    xp = namespace(terms)
    double = any(factor.dtype == xp.float64 for term in terms for factor in (term.B, term.A))
    return xp, xp.float64 if double else getattr(xp, precision)
