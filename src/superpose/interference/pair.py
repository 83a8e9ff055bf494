"""All figures of one pair of adapters, each beside what chance alone would give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np

from superpose.adapter import Adapter
from superpose.adapter.same_base import shows_one_base
from superpose.interference.agreement import agreement
from superpose.interference.contained import contained
from superpose.interference.figures import (
    CHANCE,
    MODULE_COLUMNS,
    PAIR_COLUMNS,
    ModuleFigures,
    PairFigures,
)
from superpose.interference.modules import PerModule
from superpose.interference.next_step import commands_in
from superpose.interference.typed import Words, typed_of
from superpose.interference.verdict import Verdict, judge
from superpose.lowrank import Overlaps
from superpose.shown import Column, Line, Part, Shown, Table

SHARED_A = 0.2
"""Mean cosine of the A factors from which two adapters are said to have started from one A.
Training moves A: from one start its cosine falls from 1, to about 1/2 when A has moved by as much
as its own length. From two starts it averages to 0 over rows and target modules, because rows of
unrelated starts meet with random signs, whatever directions training then adds to both."""

_DEVIATIONS = 8.0
"""And so many standard deviations away from what two unrelated starts give (1 / sqrt(r * d_in) for
the cosine of one module), because in tiny models chance alone reaches the thresholds. Eight, not
three: one of many pairs will be unlucky, and the tails are longer than a Gaussian's."""

SHARED_INPUTS = 0.5
"""Input overlap from which the same is said although the A factors do not look alike: refactored
(A -> RA), compressed or summed adapters keep the space and lose the matrix."""


@dataclass(frozen=True)
class Pair(PairFigures, Shown):
    """The figures of one pair of adapters, and what they mean."""

    @property
    def judgement(self) -> Verdict:
        """The verdict in a few words, its reason in sentences, and what to do next."""
        return judge(self)

    def said(self, label: str) -> tuple[Part, ...]:
        """Give the verdict with its reason, the next step, and the most overlapping modules.

        label: what the pair is called.
        """
        found = self.judgement
        verdict = Line(found.reason, f"{label}: {found.verdict}.")
        step = Line(found.next, "Next:", commands=commands_in(found.next))
        columns = (Column("module", "name"), *MODULE_COLUMNS)
        modules = Table.of(f"Most overlapping modules of {label}", columns, self.most_overlapping)
        return verdict, step, *([modules] if modules.rows else [])

    def shown(self) -> tuple[Part, ...]:
        """Give the figures, the verdict, and the most overlapping modules."""
        label = f"{self.a} + {self.b}"
        columns = (Column("pair", lambda pair: (pair.a, pair.b)), *PAIR_COLUMNS)
        return Table.of("Pairs", columns, [self], CHANCE), *self.said(label)


class PairColumns(NamedTuple):
    """Of the target modules that adapters i and j both have, arrays of one length.

    positions: in the figures of all. inner: inner products, in the figures' scales. lengths:
    products of both norms. The others: as `ModuleFigures` has them.
    """

    positions: np.ndarray
    inner: np.ndarray
    lengths: np.ndarray
    cosines: np.ndarray
    floors: np.ndarray
    outputs: tuple[np.ndarray, np.ndarray]
    inputs: tuple[np.ndarray, np.ndarray]


def pair_columns(figures: PerModule, i: int, j: int) -> PairColumns:
    """Give the figures of adapters i and j, module by module."""
    shared = np.flatnonzero(figures.present[:, i] & figures.present[:, j])
    inner = figures.inner[shared, i, j]
    lengths = figures.norms[shared, i] * figures.norms[shared, j]
    exists = (lengths > 0) & np.isfinite(lengths)
    ratios = np.divide(inner, lengths, out=np.full(inner.shape, np.nan), where=exists)
    shapes = figures.shapes[shared]
    return PairColumns(
        positions=shared,
        inner=inner,
        lengths=lengths,
        # Rounding may carry the cosine of a delta with itself past 1.
        cosines=np.clip(ratios, -1.0, 1.0),
        floors=figures.floors[shared],
        outputs=_side(figures.outputs, shared, i, j, shapes[:, 0]),
        inputs=_side(figures.inputs, shared, i, j, shapes[:, 1]),
    )


def _side(
    side: Overlaps, shared: np.ndarray, i: int, j: int, dimension: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give overlap and chance of one side in the shared modules: both NaN where there is none."""
    values, ranks, _ = side
    overlap = values[shared, i, j]
    chance = np.maximum(ranks[shared, i], ranks[shared, j]) / dimension
    return overlap, np.where(np.isnan(overlap), np.nan, chance)


class ModulesOfPair(Sequence[ModuleFigures]):
    """A `ModuleFigures` for each target module that both adapters have, made when it is read.

    Of K adapters there are K (K - 1) / 2 pairs, each with a record for every module, and hardly one
    of them is looked at: a pair keeps where its records come from.
    """

    __slots__ = ("_count", "_figures", "_pair")

    def __init__(self, figures: PerModule, i: int, j: int, count: int) -> None:
        """figures: of all adapters. count: of the modules that i and j share."""
        self._figures, self._pair, self._count = figures, (i, j), count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[ModuleFigures]:
        return iter(self._all())

    @overload
    def __getitem__(self, at: int) -> ModuleFigures: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[ModuleFigures, ...]: ...

    def __getitem__(self, at: int | slice) -> ModuleFigures | tuple[ModuleFigures, ...]:
        return self._all()[at]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and self._all() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> tuple[object, ...]:
        return tuple, (list(self._all()),)  # a copy elsewhere needs no figures of other pairs

    def _all(self) -> tuple[ModuleFigures, ...]:
        found = pair_columns(self._figures, *self._pair)
        columns = (found.cosines, found.floors, *found.outputs, *found.inputs)
        names = (self._figures.names[m] for m in found.positions)
        rows = np.column_stack(columns).tolist()
        return tuple(ModuleFigures(name, *row) for name, row in zip(names, rows, strict=True))


def pair_figures(
    figures: PerModule,
    i: int,
    j: int,
    adapters: Sequence[Adapter],
    words: Sequence[Words],
    same_base: bool = False,
) -> Pair:
    """Give the figures of adapters i and j.

    figures: of all K adapters. words: of all K adapters, each with a name of its own. same_base:
    whether somebody said that all have one base model.
    """
    two, typed = (adapters[i], adapters[j]), (words[i], words[j])
    found = pair_columns(figures, i, j)
    shared, inner = found.positions, found.inner
    exists = ~np.isnan(found.cosines)
    # Cosines do not depend on the scale; lengths are told in the adapters' own.
    scaled = figures.whole_norms[i], figures.whole_norms[j]
    whole = scaled[0] * float(figures.scales[i]), scaled[1] * float(figures.scales[j])
    scale = scaled[0] * scaled[1] if exists.any() else 0.0
    total = math.fsum(inner)
    deviation = math.hypot(*(found.lengths * found.floors).tolist())
    shows = shows_one_base(*two)
    return Pair(
        a=typed[0].called,
        b=typed[1].called,
        rms_cosine=_root_mean_square(found.cosines[exists]),
        rms_cosine_floor=_root_mean_square(found.floors[exists]),
        cosine=max(-1.0, min(1.0, total / scale)) if scale > 0 else math.nan,
        cosine_floor=deviation / scale if scale > 0 else math.nan,
        output_overlap=_mean(found.outputs[0]),
        output_chance=_mean(found.outputs[1]),
        input_overlap=_mean(found.inputs[0]),
        input_chance=_mean(found.inputs[1]),
        norms=whole,
        norm_ratio=max(whole) / min(whole) if min(whole) > 0 else math.nan,
        shared_a=_shared_a(figures, shared, i, j, found.inputs),
        energy_shared=_energy_shared(total, scaled, whole),
        zero_modules=int((~exists).sum()),
        agreement=agreement(figures.labels[shared], found.cosines, found.floors, inner, scale),
        contained=contained(figures, i, j),
        held=(int(figures.held[i]), int(figures.held[j])),
        # What was made in memory was made by somebody who knows.
        base_shown=same_base or None in (two[0].path, two[1].path) or shows,
        typed=typed_of(*typed, one_base=shows),
        modules=ModulesOfPair(figures, i, j, len(shared)),
    )


def _energy_shared(inner: float, scaled: tuple[float, float], norms: tuple[float, float]) -> float:
    """2 <a, b> / (|a|^2 + |b|^2): between -1 and 1; NaN where both are zero.

    inner, scaled: <a, b> and norms in the figures' scales. norms: in the adapters' own.
    """
    larger, smaller = max(norms), min(norms)
    if not larger > 0.0:
        return math.nan
    if not smaller > 0.0:
        return 0.0
    ratio = smaller / larger
    cosine = inner / (scaled[0] * scaled[1])
    return max(-1.0, min(1.0, 2.0 * cosine * ratio / (1.0 + ratio**2)))


def _shared_a(
    figures: PerModule,
    shared: np.ndarray,
    i: int,
    j: int,
    inputs: tuple[np.ndarray, np.ndarray],
) -> bool:
    products = figures.inputs.ranks[shared, i] * figures.inputs.ranks[shared, j]
    # Two random sides of ranks r_i, r_j overlap by chance, give or take this much.
    spread = inputs[1] * np.sqrt(2.0 / np.maximum(products, 1))
    least = max(SHARED_INPUTS, _mean(inputs[1]) + _DEVIATIONS * _mean_spread(spread))
    if _mean(inputs[0]) >= least:
        return True
    cosines = figures.a_cosine[shared, i, j]
    entries = figures.shapes[shared, 1] * np.maximum(figures.inputs.ranks[shared, i], 1)
    spread = np.where(np.isnan(cosines), np.nan, 1.0 / np.sqrt(entries))
    # Two equal matrices are one start however few their entries: hence never above 0.99.
    return _mean(cosines) >= max(SHARED_A, min(0.99, _DEVIATIONS * _mean_spread(spread)))


def _mean_spread(x: np.ndarray) -> float:
    """Standard deviation of the mean of independent figures with standard deviations x."""
    known = x[~np.isnan(x)]
    return math.hypot(*known.tolist()) / known.size if known.size else math.nan


def _mean(x: np.ndarray) -> float:
    known = x[~np.isnan(x)]
    return float(known.mean()) if known.size else math.nan


def _root_mean_square(x: np.ndarray) -> float:
    return math.sqrt(float(np.mean(x * x))) if x.size else math.nan
