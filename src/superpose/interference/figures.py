"""What the weights tell of a pair of adapters, in figures and how they are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from superpose.interference.agreement import Agreement
from superpose.interference.contained import Contained
from superpose.interference.typed import Typed
from superpose.shown import Column, Scale


@dataclass(frozen=True)
class ModuleFigures:
    """One target module that both adapters of a pair have.

    cosine: <dW_a, dW_b> / (|dW_a| |dW_b|), signed; NaN when one delta is zero. cosine_floor: its
    standard deviation for unrelated deltas, 1 / sqrt(out_features * in_features). output_overlap
    and input_overlap: of the sides, with their chance values max(r_a, r_b) / d; NaN when one side
    is zero.
    """

    name: str
    cosine: float
    cosine_floor: float
    output_overlap: float
    output_chance: float
    input_overlap: float
    input_chance: float


_SIDES = (
    Column("outputs", "output_overlap", ".3f", ("output_chance",), "chance"),
    Column("inputs", "input_overlap", ".3f", ("input_chance",), "chance"),
)

PAIR_COLUMNS = (
    Column("RMS cosine", "rms_cosine", ".4f", ("rms_cosine_floor",), "floor"),
    Column("cosine", "cosine", "+.4f", ("cosine_floor",), "floor"),
    *_SIDES,
    Column("norm ratio", "norm_ratio", ".2f"),
)
"""The figures of a pair, as an object or as `check --json` gives it."""

MODULE_COLUMNS = (*_SIDES, Column("cosine", "cosine", "+.4f", ("cosine_floor",), "floor"))
"""The figures of one of its target modules."""

CHANCE = "In brackets: what unrelated adapters would have."

COSINE = Scale(
    "cosine, in multiples of its floor", "×", 1.0, 100.0, "+.1f", (-100, -10, -3, 1, 3, 10, 100)
)


@dataclass(frozen=True)
class PairFigures:
    """One pair of adapters, a and b. A figure that does not exist is NaN.

    rms_cosine: root mean square of the module cosines (the predictor of arXiv 2508.11985), over
    shared target modules where neither delta is zero; zero_modules says how many others there are.
    rms_cosine_floor: root mean square of those modules' floors. cosine: whole adapters, signed
    (inner products and squared norms summed over modules; those of one adapter count in its norm).
    cosine_floor: its standard deviation if the deltas were unrelated, with their norms as they are.
    output_overlap, input_overlap: means over shared modules, with chance values. norm_ratio: of the
    larger norm to the smaller, NaN beside a zero adapter. shared_a: whether they started from the
    same A (see SHARED_A). energy_shared: 2 <a, b> / (|a|^2 + |b|^2), what their sum has more of
    energy than two unrelated adapters, as a share of it. agreement: of the modules, in sign and
    size. contained: one as a part of the other, where it is. norms, held: of a and b, and how
    many target modules each has. base_shown: whether anything shows that they have one base model,
    as `check_same_base` knows it. typed: what to type on a command line about both.

    All but shared_a are invariant under A -> RA, B -> B R^-1.
    """

    a: str
    b: str
    rms_cosine: float
    rms_cosine_floor: float
    cosine: float
    cosine_floor: float
    output_overlap: float
    output_chance: float
    input_overlap: float
    input_chance: float
    norms: tuple[float, float]
    norm_ratio: float
    shared_a: bool
    energy_shared: float
    zero_modules: int
    agreement: Agreement
    contained: Contained | None
    held: tuple[int, int]
    typed: Typed
    base_shown: bool
    modules: Sequence[ModuleFigures]

    @property
    def multiple(self) -> float:
        """The whole cosine in multiples of its floor, signed; NaN where there is none."""
        return self.cosine / self.cosine_floor if self.cosine_floor > 0.0 else math.nan

    @property
    def most_overlapping(self) -> tuple[ModuleFigures, ...]:
        """The three target modules with the largest output overlap, the largest first."""
        known = [module for module in self.modules if not math.isnan(module.output_overlap)]
        return tuple(sorted(known, key=lambda m: (-m.output_overlap, m.name))[:3])
