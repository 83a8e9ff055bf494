"""Figures of deltas that hold unformed terms, from products with few columns or a few rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from superpose.lowrank.hadamard import Hadamard
from superpose.lowrank.kronecker import Kronecker
from superpose.lowrank.terms import (
    CANCELLING,
    AnyTerm,
    Array,
    Term,
    Terms,
    Unformed,
    nonzero,
    shape,
    upcast,
)

_CHUNK = 1 << 22
"""Entries of a delta that are formed at once."""

_ROUNDING = 10 * float(np.finfo(np.float64).eps)


def times(terms: Terms, x: Array) -> Array:
    """Give the delta times x, (out_features, k), float64. x: (in_features, k)."""
    return sum(_times(term, x) for term in terms)


def transposed_times(terms: Terms, x: Array) -> Array:
    """Give the transposed delta times x, (in_features, k), float64. x: (out_features, k)."""
    return sum(_transposed_times(term, x) for term in terms)


def inner_of(x: Terms, y: Terms) -> float:
    """Give <x, y> in float64, neither formed. x, y: of one shape."""
    return math.fsum(_inner(a, b) for a in x for b in y)


def norm_of(terms: Terms) -> float:
    """Give the Frobenius norm: where the terms nearly cancel, from the rows of their sum."""
    terms = nonzero(terms)
    sizes = [math.sqrt(max(0.0, _inner(term, term))) for term in terms]
    size = math.fsum(sizes)
    if len(terms) == 1:
        return size
    square = inner_of(terms, terms)
    if square > CANCELLING * size * size:
        return math.sqrt(square)
    found = math.hypot(*(float(np.linalg.norm(part)) for part in _parts(terms)))
    return found if found > _ROUNDING * size else 0.0


def gram_of(deltas: Sequence[Terms | None]) -> Array:
    """Give the (K, K) inner products of K deltas of one module; zeros beside a None."""
    found = np.zeros((len(deltas), len(deltas)))
    by_rows = [k for k, x in enumerate(deltas) if x and any(isinstance(t, Hadamard) for t in x)]
    for parts in _parts_of([deltas[k] or () for k in by_rows]):
        flat = parts.reshape(len(parts), -1)
        found[np.ix_(by_rows, by_rows)] += flat @ flat.T
    for i, x in enumerate(deltas):
        for j, y in enumerate(deltas[: i + 1]):
            if x is not None and y is not None and not (i in by_rows and j in by_rows):
                found[i, j] = found[j, i] = inner_of(x, y)
    return found


def _parts_of(deltas: Sequence[Terms]) -> Iterator[Array]:
    """Give rows of K deltas of one shape side by side, (K, few, in_features), a few at a time."""
    if not deltas:
        return
    high, wide = shape(deltas[0])
    step = max(1, _CHUNK // (wide * len(deltas)))
    ready = [_ready(terms) for terms in deltas]
    held = np.empty((len(deltas), min(step, high), wide))
    for begin in range(0, high, step):
        end = min(begin + step, high)
        for k, terms in enumerate(ready):
            held[k, : end - begin] = sum(_rows(term, begin, end) for term in terms)
        yield held[:, : end - begin]


def _parts(terms: Terms) -> Iterator[Array]:
    """Give the delta's rows, a few at a time."""
    high, wide = shape(terms)
    step, terms = max(1, _CHUNK // wide), _ready(terms)
    for begin in range(0, high, step):
        yield sum(_rows(term, begin, min(begin + step, high)) for term in terms)


def _ready(terms: Terms) -> Terms:
    """Give the same with products in float64, whose rows are asked for many times."""
    return tuple(term.wide() if isinstance(term, Hadamard) else term for term in terms)


def _inner(x: AnyTerm, y: AnyTerm) -> float:
    if isinstance(x, Kronecker) and isinstance(y, Kronecker) and x.splits == y.splits:
        return x.inner(y)
    if isinstance(x, Term):
        x, y = y, x
    if isinstance(y, Term):
        found = np.vdot(_transposed_times(x, upcast(y.B, "float64")).T, upcast(y.A, "float64"))
        return float(y.coefficient * found)
    if x is y:
        return math.fsum(float(np.vdot(a, a)) for a in _parts((x,)))
    return math.fsum(float(np.vdot(a, b)) for a, b in zip(_parts((x,)), _parts((y,)), strict=True))


def _times(term: AnyTerm, x: Array) -> Array:
    if isinstance(term, Unformed):
        return term.times(x)
    return term.coefficient * (upcast(term.B, "float64") @ (upcast(term.A, "float64") @ x))


def _transposed_times(term: AnyTerm, x: Array) -> Array:
    if isinstance(term, Unformed):
        return term.transposed_times(x)
    return term.coefficient * (upcast(term.A, "float64").T @ (upcast(term.B, "float64").T @ x))


def _rows(term: AnyTerm, begin: int, end: int) -> Array:
    if isinstance(term, Unformed):
        return term.rows(begin, end)
    return term.coefficient * (upcast(term.B[begin:end], "float64") @ upcast(term.A, "float64"))
