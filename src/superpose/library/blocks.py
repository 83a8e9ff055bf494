"""All inner products of two blocks of adapters by two matrix products a target module.

<dW_i, dW_j> = tr((B_i^T B_j) (A_j A_i^T)) is the sum over a block of (B^T B) * (A A^T): with the
factors of a block's adapters stacked, A (sum of r, d_in) and B^T (sum of r, d_out), two products
give every B_i^T B_j and A_i A_j^T at once, and sums over the blocks of their elementwise product
every <dW_i, dW_j>. Nothing is left out; the products are taken in float32, good to 1e-6, on arrays
of any array-API namespace (`placing`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from superpose.adapter import Adapter
from superpose.library.block_sums import block_sums
from superpose.lowrank import (
    AnyTerm,
    Terms,
    dtype_name,
    formed,
    is_unformed,
    nonzero,
    norm,
    rank,
    shape,
    side_grams,
    tamed,
)
from superpose.lowrank.canonical_split import canonical
from superpose.lowrank.to_numpy import to_numpy

Array: TypeAlias = Any

_CANCELLED, _SMALLEST = 1e-3, 1e-12
"""Share of the square of a term's size below which its square has lost digits in float32; and the
squares that are far inside float32, as their inverses are."""


class StackedModule(NamedTuple):
    """One target module of a block. owners (k,): which adapters have it. starts (k,): their rows.

    A (R, in_features), B (R, out_features): rows of all, of deltas over their adapter's norm.
    lengths (k,): each delta's own norm over its adapter's.
    """

    owners: Array
    starts: Array
    A: Array
    B: Array
    lengths: Array


@dataclass(frozen=True, eq=False)
class Stacked:
    """A block of adapters. count: of them. modules: by name."""

    count: int
    modules: dict[str, StackedModule]


class BlockProducts(NamedTuple):
    """What two blocks give, (n, m) each.

    cosine: of whole adapters, NaN beside a zero one. rms_cosine: root mean square over the modules
    that both change, NaN where there is none. floor: the cosine's deviation were they unrelated, as
    `Pair.cosine_floor`. shared: how many modules both change.
    """

    cosine: Array
    rms_cosine: Array
    floor: Array
    shared: Array


def stacked(adapters: Iterable[Adapter], dtype: str = "float32", rows: int = 0) -> Stacked:
    """Stack the factors of a block's adapters, whose modules go by one name in all.

    dtype: float32, or float64 where near equals are to be told apart. rows: that a module will have
    at most, where that is known: memory is then asked for once.
    """
    found: dict[str, _Rows] = {}
    count = 0
    for at, adapter in enumerate(adapters):
        count += 1
        squares = _squares(adapter) if dtype == "float32" else {}
        lengths = {
            key: math.sqrt(squares[key].whole) if key in squares else norm(delta.terms)
            for key, delta in adapter.items()
        }
        whole = float(np.hypot.reduce(list(lengths.values()))) if lengths else 0.0
        for key, delta in adapter.items():
            if not lengths[key] > 0.0:
                continue
            if key not in found:
                found[key] = _Rows(*delta.shape, dtype, rows)
            if key in squares:
                found[key].take_term(delta.terms[0], squares[key].A, whole)
            else:
                found[key].take(*balanced(delta.terms, whole))
            found[key].own(at, lengths[key] / whole)
    return Stacked(count, {key: module.stacked() for key, module in found.items()})


def products(x: Stacked, y: Stacked) -> BlockProducts:
    """Give the figures of every adapter of one block with every one of the other."""
    total, squares, floors, shared = np.zeros((4, x.count, y.count))
    for key, inner, cosine in by_module(x, y):
        at = np.ix_(x.modules[key].owners, y.modules[key].owners)
        total[at] += inner
        squares[at] += cosine**2
        shared[at] += 1.0
        a, b = x.modules[key], y.modules[key]
        entries = a.A.shape[1] * a.B.shape[1]
        floors[at] += np.multiply.outer(a.lengths**2, b.lengths**2) / entries
    zero = np.logical_or.outer(~_changes(x), ~_changes(y))
    nothing = np.full(total.shape, np.nan)
    mean = np.divide(squares, shared, out=nothing, where=shared > 0)
    return BlockProducts(
        np.where(zero, np.nan, np.clip(total, -1.0, 1.0)),
        np.sqrt(mean),
        np.where(zero, np.nan, np.sqrt(floors)),
        shared.astype(int),
    )


def by_module(x: Stacked, y: Stacked) -> Iterator[tuple[str, Array, Array]]:
    """Give for each module that both blocks have its name, inner products and cosines, (k, l).

    The inner products are of deltas over their adapters' norms.
    """
    for key in x.modules.keys() & y.modules.keys():
        a, b = x.modules[key], y.modules[key]
        product = a.A @ b.A.T
        product *= a.B @ b.B.T
        inner = block_sums(product, a.starts, b.starts)
        yield key, inner, np.clip(inner / np.multiply.outer(a.lengths, b.lengths), -1.0, 1.0)


def _changes(block: Stacked) -> Array:
    """Say of each adapter whether it changes anything."""
    found = np.zeros(block.count, bool)
    for module in block.modules.values():
        found[module.owners] = True
    return found


def is_plain(terms: Terms) -> bool:
    """Say whether a delta is one pair of factors, none wider than float32."""
    if len(terms) > 1 or is_unformed(terms) or rank(terms) > min(shape(terms)):
        return False
    return not any(dtype_name(x) == "float64" for x in terms[0].arrays)


def balanced(terms: Terms, whole: float) -> tuple[Array, Array]:
    """Give B^T (r, out) and A (r, in) of a delta over `whole`, A of length 1, in float64.

    Terms that may cancel, and more rows than the matrix has, are brought into the canonical split.
    """
    live = nonzero(terms)
    if len(live) > 1 or is_unformed(live) or rank(live) > min(shape(live)):
        live = (canonical(live),)
    (term,), power = tamed(live)
    B, A = (np.asarray(to_numpy(factor)) for factor in (term.B, term.A))
    scale = float(np.abs(A).max())
    length = float(np.linalg.norm(A / scale))
    own, exponent = math.frexp(whole)
    factor = float(np.ldexp(term.coefficient / own, power - exponent)) * scale
    return (B.T * factor) * length, A / scale / length


class _Squares(NamedTuple):
    """Of one delta that is a single term: |dW|^2 and |A|^2."""

    whole: float
    A: float


def _squares(adapter: Adapter) -> dict[str, _Squares]:
    """Give the squares of those deltas that float32 knows to 1e-6.

    Left out are deltas of several terms or of float64, whose columns cancel, or whose squares leave
    float32: they are stacked from their canonical split.
    """
    plain = [key for key, delta in adapter.items() if is_plain(delta.terms)]
    found: dict[str, _Squares] = {}
    with np.errstate(all="ignore"):
        for group in side_grams([(adapter[key].terms,) for key in plain], "float32"):
            outputs, inputs = (np.trace(x, axis1=1, axis2=2) for x in (group.output, group.input))
            whole, size = group.inner()[:, 0, 0], group.sizes()[:, 0]
            fits = (whole > _CANCELLED * size**2) & _held(whole) & _held(outputs) & _held(inputs)
            for n in np.flatnonzero(fits):
                found[plain[group.modules[n]]] = _Squares(float(whole[n]), float(inputs[n]))
    return found


def _held(squares: Array) -> Array:
    return (squares > _SMALLEST) & (squares < 1.0 / _SMALLEST)


class _Rows:
    """The rows of one module while a block is stacked."""

    def __init__(self, outputs: int, inputs: int, dtype: str, rows: int) -> None:
        self.A, self.B = np.empty((rows, inputs), dtype), np.empty((rows, outputs), dtype)
        self.owners: list[int] = []
        self.starts: list[int] = []
        self.lengths: list[float] = []
        self.end = 0

    def take(self, B: Array, A: Array) -> None:
        """Add the rows of one delta, B^T (r, out) and A (r, in)."""
        at = self._more(len(A))
        self.B[at], self.A[at] = B, A

    def take_term(self, term: AnyTerm, square: float, whole: float) -> None:
        """Add the rows of one term over `whole`, A of length 1. square: |A|^2."""
        (plain,) = formed((term,))
        length = math.sqrt(square)
        at = self._more(plain.rank)
        np.multiply(_numpy(plain.B).T, np.float32(plain.coefficient * length / whole), self.B[at])
        np.multiply(_numpy(plain.A), np.float32(1.0 / length), self.A[at])

    def own(self, owner: int, length: float) -> None:
        """Say whose the rows that were added last are, and their delta's length."""
        self.owners.append(owner)
        self.lengths.append(length)

    def stacked(self) -> StackedModule:
        """Give the module."""
        return StackedModule(
            np.array(self.owners),
            np.array(self.starts),
            self.A[: self.end],
            self.B[: self.end],
            np.array(self.lengths),
        )

    def _more(self, count: int) -> slice:
        begin, self.end = self.end, self.end + count
        if self.end > len(self.A):
            self.A, self.B = _longer(self.A, count), _longer(self.B, count)
        self.starts.append(begin)
        return slice(begin, self.end)


def _longer(x: Array, count: int) -> Array:
    wider = np.empty((2 * len(x) + count, x.shape[1]), x.dtype)
    wider[: len(x)] = x
    return wider


def _numpy(x: Array) -> Array:
    """Give a factor as NumPy has it, in float32."""
    return np.asarray(x if isinstance(x, np.ndarray) else to_numpy(x), np.float32)
