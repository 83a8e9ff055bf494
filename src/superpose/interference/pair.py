"""All figures of one pair of adapters, each beside what chance alone would give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from superpose.interference.modules import PerModule
from superpose.interference.verdict import Verdict, judge
from superpose.lowrank import Overlaps

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
class ModuleFigures:
    """One target module that both adapters of a pair have.

    cosine: <dW_a, dW_b> / (|dW_a| |dW_b|), signed; NaN when one delta is zero. floor: its standard
    deviation for unrelated deltas, 1 / sqrt(out_features * in_features). output_overlap and
    input_overlap: of the sides, with their chance values max(r_a, r_b) / d; NaN when one side is
    zero.
    """

    name: str
    cosine: float
    floor: float
    output_overlap: float
    output_chance: float
    input_overlap: float
    input_chance: float


@dataclass(frozen=True)
class Pair:
    """One pair of adapters, a and b. A figure that does not exist is NaN.

    rms_cosine: root mean square of the module cosines (the predictor of arXiv 2508.11985), over
    shared target modules where neither delta is zero; zero_modules says how many others there are.
    floor: root mean square of those modules' floors. cosine: whole adapters, signed (inner products
    and squared norms summed over modules; modules of one adapter count in its norm).
    cosine_floor: its standard deviation if the deltas were unrelated, with their norms as they are.
    output_overlap, input_overlap: means over shared modules, with chance values. norm_ratio: of the
    larger norm to the smaller, NaN beside a zero adapter. shared_a: whether they started from the
    same A (see SHARED_A). norms: of a and b.

    All but shared_a are invariant under A -> RA, B -> B R^-1.
    """

    a: str
    b: str
    rms_cosine: float
    floor: float
    cosine: float
    cosine_floor: float
    output_overlap: float
    output_chance: float
    input_overlap: float
    input_chance: float
    norms: tuple[float, float]
    norm_ratio: float
    shared_a: bool
    zero_modules: int
    modules: tuple[ModuleFigures, ...]

    @property
    def judgement(self) -> Verdict:
        """The verdict in a word or two and its reason in sentences."""
        return judge(self)

    @property
    def most_overlapping(self) -> tuple[ModuleFigures, ...]:
        """The three target modules with the largest output overlap, the largest first."""
        known = [module for module in self.modules if not math.isnan(module.output_overlap)]
        return tuple(sorted(known, key=lambda m: (-m.output_overlap, m.name))[:3])

    def _repr_html_(self) -> str:
        from superpose.interference.shown import pair_html

        return pair_html(self)


def pair_figures(figures: PerModule, i: int, j: int, names: Sequence[str]) -> Pair:
    """Give the figures of adapters i and j.

    figures: of all K adapters. names: of all K adapters, each its own.
    """
    shared = np.flatnonzero(figures.present[:, i] & figures.present[:, j])
    norms = np.sqrt(np.maximum(0.0, np.diagonal(figures.inner, axis1=1, axis2=2)))
    lengths = norms[shared, i] * norms[shared, j]
    inner = figures.inner[shared, i, j]
    # Rounding may carry the cosine of a delta with itself past 1.
    cosines = np.clip(_ratio(inner, lengths), -1.0, 1.0)
    floors = 1.0 / np.sqrt(np.prod(figures.shapes[shared], axis=1))
    whole = math.hypot(*norms[:, i]), math.hypot(*norms[:, j])
    exists = ~np.isnan(cosines)
    outputs = _side(figures.outputs, shared, i, j, figures.shapes[shared, 0])
    inputs = _side(figures.inputs, shared, i, j, figures.shapes[shared, 1])
    scale = whole[0] * whole[1] if shared.size else 0.0
    return Pair(
        a=names[i],
        b=names[j],
        rms_cosine=_root_mean_square(cosines[exists]),
        floor=_root_mean_square(floors[exists]),
        cosine=max(-1.0, min(1.0, math.fsum(inner) / scale)) if scale > 0 else math.nan,
        cosine_floor=math.hypot(*(lengths * floors)) / scale if scale > 0 else math.nan,
        output_overlap=_mean(outputs[0]),
        output_chance=_mean(outputs[1]),
        input_overlap=_mean(inputs[0]),
        input_chance=_mean(inputs[1]),
        norms=whole,
        norm_ratio=max(whole) / min(whole) if min(whole) > 0 else math.nan,
        shared_a=_shared_a(figures, shared, i, j, inputs),
        zero_modules=int((~exists).sum()),
        modules=tuple(
            ModuleFigures(figures.names[m], *map(float, row))
            for m, row in zip(
                shared, np.column_stack([cosines, floors, *outputs, *inputs]), strict=True
            )
        ),
    )


def _side(
    side: Overlaps, shared: np.ndarray, i: int, j: int, dimension: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give overlap and chance of one side in the shared modules: both NaN where there is none."""
    values, ranks, _ = side
    overlap = values[shared, i, j]
    chance = np.maximum(ranks[shared, i], ranks[shared, j]) / dimension
    return overlap, np.where(np.isnan(overlap), np.nan, chance)


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
    return math.hypot(*known) / known.size if known.size else math.nan


def _ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(x, y, out=np.full(x.shape, np.nan), where=y > 0))


def _mean(x: np.ndarray) -> float:
    known = x[~np.isnan(x)]
    return float(known.mean()) if known.size else math.nan


def _root_mean_square(x: np.ndarray) -> float:
    return math.sqrt(float(np.mean(x * x))) if x.size else math.nan
