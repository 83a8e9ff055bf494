"""The figures of all K adapters in every target module, each factor read once.

Formulas 1, 2 and 4 of the design: inner products and the overlaps of both sides come from the same
two Gram matrices per target module (see `lowrank.gram`, `lowrank.sides`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from superpose.adapter import Adapter, Delta
from superpose.interference.products import side_overlaps, unformed_modules
from superpose.lowrank import Overlaps, SideGrams, Terms, gram, overlaps, side_grams, tamed, units
from superpose.lowrank.terms import CANCELLING, beyond_float64

_FLOAT32_CONDITION = 1e3
"""Up to this condition of a side's Gram matrix float32 products will do: their error of about 3e-7
becomes 3e-4 of an overlap. Beyond, the module is taken again in float64."""

_FLOAT32_RANGE, _FLOAT64_RANGE = 28.0, 140.0
"""Powers of ten of the squares that are summed and multiplied without leaving the type."""


@dataclass(frozen=True, eq=False)
class PerModule:
    """Arrays over M target modules (the union, in order of appearance) and K adapters.

    names (M). shapes (M, 2): out_features, in_features. present (M, K). inner (M, K, K): of the
    adapters divided by scales (K,), which are 1 but where squares leave float64. outputs, inputs:
    the overlaps of the two sides. a_cosine (M, K, K): of the stacked A as matrices, NaN where their
    ranks differ, one is zero or not formed.
    """

    names: tuple[str, ...]
    shapes: np.ndarray
    present: np.ndarray
    inner: np.ndarray
    outputs: Overlaps
    inputs: Overlaps
    a_cosine: np.ndarray
    scales: np.ndarray

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """The names as an array (M,) of objects."""
        return np.array(self.names, dtype=object)

    @functools.cached_property
    def floors(self) -> np.ndarray:
        """What cosines (M,) of unrelated deltas deviate by."""
        return np.asarray(1.0 / np.sqrt(np.prod(self.shapes, axis=1)))

    @functools.cached_property
    def held(self) -> np.ndarray:
        """How many modules each of the K adapters has."""
        return np.asarray(self.present.sum(axis=0))

    @functools.cached_property
    def norms(self) -> np.ndarray:
        """Norms (M, K) of the deltas, in `scales`."""
        squares = np.diagonal(self.inner, axis1=1, axis2=2)
        return np.asarray(np.sqrt(np.maximum(0.0, squares)))

    @functools.cached_property
    def whole_norms(self) -> tuple[float, ...]:
        """Norms of the K adapters, in `scales`."""
        return tuple(math.hypot(*column) for column in self.norms.T.tolist())


def per_module(adapters: Sequence[Adapter]) -> PerModule:
    """Compute the figures of every target module that at least one adapter has.

    adapters: K of one base model, at least one; shapes were compared at the door. Raises BadInput
    for deltas that no float64 holds.
    """
    names = tuple(dict.fromkeys(module for adapter in adapters for module in adapter))
    rows = [[a[name].terms if name in a else None for a in adapters] for name in names]
    first = [next(a for a in adapters if name in a) for name in names]
    size, count = len(names), len(adapters)
    figures = PerModule(
        names=names,
        shapes=np.array([a[n].shape for a, n in zip(first, names, strict=True)]).reshape(size, 2),
        present=np.array([[t is not None for t in row] for row in rows], bool).reshape(size, count),
        inner=np.zeros((size, count, count)),
        outputs=_empty(size, count),
        inputs=_empty(size, count),
        a_cosine=np.full((size, count, count), np.nan),
        scales=np.ones(count),
    )
    biases = [n for n, a in enumerate(first) if _is_bias(a[names[n]])]
    apart = unformed_modules(rows)
    for m in apart:
        figures.inner[m] = gram(rows[m])
        _fill(figures, [m], *side_overlaps(rows[m]))
    powers = np.zeros((size, count), dtype=int)
    for group, outputs, inputs in _groups(rows, powers, apart):
        figures.inner[group.modules] = _inner(group, rows)
        figures.a_cosine[group.modules] = _a_cosine(group)
        _fill(figures, group.modules, outputs, inputs)
    _scale(figures, powers)
    # A bias has no input side: its one column would overlap with every other.
    figures.inputs.values[biases] = np.nan
    figures.a_cosine[biases] = np.nan
    return figures


def _fill(
    figures: PerModule, at: Sequence[int] | np.ndarray, outputs: Overlaps, inputs: Overlaps
) -> None:
    for target, source in ((figures.outputs, outputs), (figures.inputs, inputs)):
        for filled, values in zip(target, source, strict=True):
            filled[at] = values


def _is_bias(delta: Delta) -> bool:
    return delta.place is not None and delta.place.kind == "bias"


def _groups(
    rows: list[list[Terms | None]], powers: np.ndarray, apart: Sequence[int]
) -> Iterator[tuple[SideGrams, Overlaps, Overlaps]]:
    """Give each group's Gram matrices and overlaps, in float32 where that is good enough.

    rows: of the modules whose squares leave float64 the deltas are replaced by tamed ones, and
    powers (M, K) says by how much. apart: positions of modules that have no Gram matrices.

    A delta of one term cannot cancel itself; one of several can, and is taken in float64. A module
    that is told twice is told better the second time.
    """
    lone = [all(terms is None or len(terms) == 1 for terms in row) for row in rows]
    own = sorted(set(range(len(rows))) - set(apart))
    exact = [m for m in own if not lone[m]]
    for group in _at([m for m in own if lone[m]], rows, "float32"):
        held = _held(group, _FLOAT32_RANGE)
        exact.extend(group.modules[~held].tolist())
        if held.any():
            group = _chosen(group, held)
            sides = _overlaps(group)
            ill = np.max([side.condition for side in sides], axis=(0, 2)) > _FLOAT32_CONDITION
            exact.extend(group.modules[ill].tolist())
            yield group, *sides
    extreme: list[int] = []
    for group in _at(exact, rows, "float64"):
        held = _held(group, _FLOAT64_RANGE)
        extreme.extend(group.modules[~held].tolist())
        if held.any():
            yield (group := _chosen(group, held)), *_overlaps(group)
    for m in extreme:
        for k, terms in enumerate(rows[m]):
            if terms is not None:
                rows[m][k], powers[m, k] = tamed(terms)
    for group in _at(extreme, rows, "float64"):
        yield group, *_overlaps(group)


def _held(group: SideGrams, powers: float) -> np.ndarray:
    """Say of which modules (M,) all squares and coefficients lie well inside a type's range.

    powers: of ten. A zero may be a factor of zeros, or one too small to be squared: it is not held.
    """
    squares = [np.diagonal(side, axis1=1, axis2=2) for side in (group.output, group.input)]
    with np.errstate(over="ignore", under="ignore"):  # infinity and 0 are what is looked for
        every = np.concatenate([*squares, group.coefficients**2], axis=1)
    # A coefficient of 0 is what it says.
    every[:, -group.coefficients.shape[1] :][group.coefficients == 0.0] = 1.0
    least, most = 10.0**-powers, 10.0**powers
    return np.asarray(np.all((every > least) & (every < most), axis=1))


def _chosen(group: SideGrams, held: np.ndarray) -> SideGrams:
    if held.all():
        return group
    return SideGrams(
        group.modules[held],
        group.ranks,
        group.coefficients[held],
        group.output[held],
        group.input[held],
    )


def _inner(group: SideGrams, rows: Sequence[Sequence[Terms | None]]) -> np.ndarray:
    """Give the (M, K, K) inner products, from a QR where terms of a delta almost cancel."""
    inner = group.inner()
    left = np.diagonal(inner, axis1=1, axis2=2)
    for at in np.flatnonzero(np.any(left < CANCELLING * group.sizes() ** 2, axis=1)):
        found = units(rows[group.modules[at]])
        inner[at] = found.cosines * np.outer(found.norms, found.norms)
    return inner


def _scale(figures: PerModule, powers: np.ndarray) -> None:
    """Bring each adapter's tamed modules and its others to one scale; most have nothing to bring.

    Raises BadInput for a delta that no float64 holds.
    """
    if not powers.any():
        return
    live = np.diagonal(figures.inner, axis1=1, axis2=2) > 0.0
    tops = np.where(live, powers, np.iinfo(int).min // 2).max(axis=0)
    tops = np.where(live.any(axis=0) & powers.any(axis=0), tops, 0)
    if tops.max() >= np.finfo(float).maxexp:
        at = int(np.argmax(powers[:, int(tops.argmax())]))
        raise beyond_float64(figures.names[at])
    factors = np.ldexp(1.0, np.maximum(powers - tops, -2000))
    figures.inner[:] *= factors[:, :, None] * factors[:, None, :]
    figures.scales[:] = np.ldexp(1.0, tops)


def _at(
    positions: list[int], rows: Sequence[Sequence[Terms | None]], precision: str
) -> Iterator[SideGrams]:
    groups = side_grams([rows[m] for m in positions], precision)
    while True:  # one group at a time is held, and none of its user's arithmetic is silenced
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            group = next(groups, None)
        if group is None:
            return
        yield group._replace(modules=np.asarray(positions)[group.modules])


def _overlaps(group: SideGrams) -> tuple[Overlaps, Overlaps]:
    return (
        overlaps(group.output, group.ranks, group.coefficients),
        overlaps(group.input, group.ranks, group.coefficients),
    )


def _a_cosine(group: SideGrams) -> np.ndarray:
    """<A_i, A_j> / (|A_i| |A_j|): traces of the blocks of A A^T, where the ranks are equal."""
    ranks = group.ranks
    ends = np.cumsum(ranks)
    result = np.full((len(group.modules), len(ranks), len(ranks)), np.nan)
    for rank in set(ranks) - {0}:
        those = np.flatnonzero(np.asarray(ranks) == rank)
        columns = (ends[those, None] - rank + np.arange(rank)).ravel()
        blocks = group.input[:, columns[:, None], columns]
        blocks = blocks.reshape(-1, len(those), rank, len(those), rank)
        result[:, those[:, None], those] = np.einsum("mirjr->mij", blocks)
    lengths = np.sqrt(np.diagonal(result, axis1=1, axis2=2))
    products = lengths[:, :, None] * lengths[:, None, :]
    nothing = np.full_like(result, np.nan)
    return np.asarray(np.divide(result, products, out=nothing, where=products > 0))


def _empty(size: int, count: int) -> Overlaps:
    nothing = np.full((size, count, count), np.nan)
    return Overlaps(nothing, np.zeros((size, count), dtype=int), np.zeros((size, count)))
