"""What an adapter adds to one stored tensor, row by row.

A stored tensor is seen as a matrix (rows, columns). So is a delta, or what an adapter stores
absolutely, after a transposition where the base keeps its weights the other way round; a band of
its rows is added to a band of the tensor's. That makes the experts of a stack, the groups of a
convolution and the halves of a fused projection one thing, and no more than a block of rows is ever
formed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Delta, Replacement, Rescaled, Stored
from superpose.adapter.replacement import SUMS_TO_ONE
from superpose.lowrank import Term, Unformed, stack, upcast

Array = NDArray[Any]


class Band(NamedTuple):
    """A band of rows that is added to a band of a stored tensor's rows.

    key: of the delta or the replacement in the adapter. source: it. transposed: the tensor holds
    its transpose. first, height: the band in the source, after the transposition. at: the row of
    the tensor where it begins. columns: of the tensor.
    """

    key: str
    source: Delta | Replacement
    transposed: bool
    first: int
    height: int
    at: int
    columns: int

    @property
    def is_delta(self) -> bool:
        """Whether it is a product of factors, whatever the tensor that it is added to."""
        return isinstance(self.source, Delta)


class Rows(Protocol):
    """A change made ready to be asked for its rows."""

    def rows(self, begin: int, end: int, base: Array, out: Array | None = None) -> Array:
        """Give rows begin to end of what is added.

        base: those rows before any change. out: an array of their shape that may be used for them.
        """

    def bound(self, begin: int, end: int, base: Array) -> Array:
        """Give, for the same rows, what the rounding of one operation is multiplied with."""


@dataclass(frozen=True, eq=False)
class Product:
    """L @ R: L (height, rank), R (rank, columns)."""

    L: Array
    R: Array

    def rows(self, begin: int, end: int, base: Array, out: Array | None = None) -> Array:
        """Give rows begin to end of the product."""
        del base
        return np.asarray(np.matmul(self.L[begin:end], self.R, out=out))

    def bound(self, begin: int, end: int, base: Array) -> Array:
        """Give (rank + 2) |L_i| |R_j|, which no sum of products' rounding exceeds."""
        del base
        lengths = np.linalg.norm(self.L[begin:end], axis=1), np.linalg.norm(self.R, axis=0)
        return np.asarray((len(self.R) + 2.0) * np.outer(*lengths))


@dataclass(frozen=True, eq=False)
class Unstacked:
    """A product whose factors are not formed (a LoKr), from its row `first` on.

    sizes: of all that is summed and multiplied up in it.
    """

    term: Unformed
    sizes: Unformed
    first: int

    def rows(self, begin: int, end: int, base: Array, out: Array | None = None) -> Array:
        """Give rows begin to end of the product, computed in float64."""
        del out
        rows = self.term.rows(self.first + begin, self.first + end)
        return np.asarray(rows, base.dtype)

    def bound(self, begin: int, end: int, base: Array) -> Array:
        """Give a size for the rounding of its sums: one more than what is held has columns."""
        del base
        most = 4 + sum(max(x.shape) for x in self.sizes.arrays)
        return np.asarray(most * self.sizes.rows(self.first + begin, self.first + end))


@dataclass(frozen=True, eq=False)
class Exchanged:
    """sum_k c_k (T_k - T_0) for stored tensors T_k, each as a matrix."""

    values: tuple[tuple[float, Array], ...]

    def rows(self, begin: int, end: int, base: Array, out: Array | None = None) -> Array:
        """Give rows begin to end; where the c_k sum to 1, T_0 drops out but for one rounding."""
        del out
        total: Array = np.zeros(base.shape, np.float64)
        for coefficient, value in self.values:
            total += coefficient * value[begin:end].astype(np.float64)
        share = math.fsum(c for c, _ in self.values)
        # Exactly 1, so that T_0 + (T_1 - T_0) rounds to T_1 and not to its neighbour.
        share = 1.0 if abs(share - 1.0) <= SUMS_TO_ONE else share
        return total - share * base.astype(np.float64)

    def bound(self, begin: int, end: int, base: Array) -> Array:
        """Give the sum of the sizes of all that is added up."""
        wide = sum(
            abs(c) * (np.abs(v[begin:end].astype(np.float64)) + abs(base)) for c, v in self.values
        )
        return np.asarray(wide)


@dataclass(frozen=True, eq=False)
class Lengthened:
    """c (s_i M_i - W_0i) with M = W_0 + L @ R: a weight whose outputs DoRA gave new lengths.

    scale: s, (rows, 1), or (1, columns) where the outputs are the tensor's columns.
    """

    coefficient: float
    product: Product
    scale: Array

    def rows(self, begin: int, end: int, base: Array, out: Array | None = None) -> Array:
        """Give rows begin to end."""
        del out
        wide = base.astype(np.float64)
        scale = self.scale if self.scale.shape[0] == 1 else self.scale[begin:end]
        return np.asarray(
            self.coefficient * (scale * (wide + self.product.rows(begin, end, wide)) - wide)
        )

    def bound(self, begin: int, end: int, base: Array) -> Array:
        """Give a size for the lengths' own rounding too, which grows with what they sum up."""
        scale = self.scale if self.scale.shape[0] == 1 else self.scale[begin:end]
        size = abs(base) + self.product.bound(begin, end, base)
        most = base.shape[0] + base.shape[1]
        return np.asarray(abs(self.coefficient) * (most * abs(scale) * size + abs(base)))


class Blocks(Protocol):
    """A stored tensor's rows, a block at a time."""

    def __call__(self, begin: int, end: int) -> Iterator[tuple[int, int, Array]]:
        """Give (begin, end, rows) for blocks that make up these rows."""


def made_ready(change: Band, blocks: Blocks, dtype: str) -> list[Rows]:
    """Make a change ready: the sum of what is given back is what is added.

    blocks: of the tensor before any change; only DoRA asks for them. dtype: that the product of a
    delta's factors is formed in, "float32" or "float64".
    """
    source = change.source
    if isinstance(source, Delta):
        formed = tuple(t for t in source.terms if not isinstance(t, Unformed))
        whole = [t for t in source.terms if isinstance(t, Unformed)]
        plain: list[Rows] = [_product(stack(formed, dtype), change)] if formed else []
        return plain + [_as_it_is(term, change) for term in whole]
    found: list[Rows] = []
    stored: list[tuple[float, Array]] = []
    for coefficient, value in source.parts:
        if isinstance(value, Rescaled):
            found.append(_lengthened(coefficient, value, change, blocks))
        else:
            assert isinstance(value, Stored)
            matrix = value.tensor.reshape(-1, change.columns)
            stored.append((coefficient, matrix[change.first : change.first + change.height]))
    return [*found, Exchanged(tuple(stored))] if stored else found


def _as_it_is(term: Unformed, change: Band) -> Rows:
    turned = term.transposed() if change.transposed else term
    return Unstacked(turned.wide(), turned.absolute(), change.first)


def _product(term: Term, change: Band) -> Product:
    L, R = (term.A.T, term.B.T) if change.transposed else (term.B, term.A)
    return Product(L[change.first : change.first + change.height], np.ascontiguousarray(R))


def _lengthened(coefficient: float, value: Rescaled, change: Band, blocks: Blocks) -> Lengthened:
    product = _product(stack(value.terms, "float64"), change)
    squares: list[Array] = []
    for begin, end, base in blocks(change.at, change.at + change.height):
        moved = base.astype(np.float64)
        moved += product.rows(begin - change.at, end - change.at, moved)
        squares.append((moved * moved).sum(axis=0 if change.transposed else 1))
    lengths = np.sqrt(np.sum(squares, axis=0) if change.transposed else np.concatenate(squares))
    with np.errstate(divide="ignore", invalid="ignore"):  # not finite then, and refused by name
        scale = upcast(value.magnitude, "float64") / lengths
    return Lengthened(coefficient, product, np.expand_dims(scale, 0 if change.transposed else 1))
