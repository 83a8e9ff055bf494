"""All inner products of two blocks of adapters by two matrix products a target module.

<dW_i, dW_j> = tr((B_i^T B_j) (A_j A_i^T)) is the sum over a block of (B^T B) * (A A^T): with the
factors of a block's adapters stacked, A (sum of r, d_in) and B^T (sum of r, d_out), two products
give every B_i^T B_j and A_i A_j^T at once, and sums over the blocks of their elementwise product
every <dW_i, dW_j>. Nothing is left out; the products are taken in float32, good to 1e-6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from superpose.adapter import Adapter
from superpose.lowrank import Terms, formed, is_unformed, nonzero, norm, rank, shape, upcast
from superpose.lowrank.canonical_split import canonical
from superpose.lowrank.to_numpy import to_numpy

Array: TypeAlias = Any


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


def stacked(adapters: Iterable[Adapter], dtype: str = "float32") -> Stacked:
    """Stack the factors of a block's adapters, whose modules go by one name in all.

    dtype: float32, or float64 where near equals are to be told apart.
    """
    rows: dict[str, list[tuple[int, Array, Array, float]]] = {}
    count = 0
    for at, adapter in enumerate(adapters):
        count += 1
        lengths = {key: norm(delta.terms) for key, delta in adapter.items()}
        whole = float(np.hypot.reduce(list(lengths.values()))) if lengths else 0.0
        for key, delta in adapter.items():
            if lengths[key] > 0.0:
                B, A = balanced(delta.terms, whole)
                own = lengths[key] / whole
                rows.setdefault(key, []).append((at, B.astype(dtype), A.astype(dtype), own))
    return Stacked(count, {key: _stack(found) for key, found in rows.items()})


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
        inner = np.add.reduceat(product, b.starts, axis=1)
        inner = np.add.reduceat(inner, a.starts, axis=0).astype(np.float64)
        yield key, inner, np.clip(inner / np.multiply.outer(a.lengths, b.lengths), -1.0, 1.0)


def _changes(block: Stacked) -> Array:
    """Say of each adapter whether it changes anything."""
    found = np.zeros(block.count, bool)
    for module in block.modules.values():
        found[module.owners] = True
    return found


def balanced(terms: Terms, whole: float) -> tuple[Array, Array]:
    """Give B^T (r, out) and A (r, in) of a delta over `whole`, A of length 1, in float64.

    Terms that may cancel, and more rows than the matrix has, are brought into the canonical split.
    """
    live = nonzero(terms)
    if len(live) > 1 or is_unformed(live) or rank(live) > min(shape(live)):
        live = (canonical(live),)
    (term,) = formed(live)
    B, A = (np.asarray(to_numpy(upcast(factor, "float64"))) for factor in (term.B, term.A))
    scale = float(np.abs(A).max())
    length = float(np.linalg.norm(A / scale))
    return (B.T * (term.coefficient / whole * scale)) * length, A / scale / length


def _stack(rows: Sequence[tuple[int, Array, Array, float]]) -> StackedModule:
    ranks = [len(A) for _, _, A, _ in rows]
    return StackedModule(
        np.array([at for at, _, _, _ in rows]),
        np.cumsum([0, *ranks[:-1]]),
        np.concatenate([A for _, _, A, _ in rows]),
        np.concatenate([B for _, B, _, _ in rows]),
        np.array([length for _, _, _, length in rows]),
    )
