"""One adapter as a part of another: all that it reads and writes lies within what the other does.

As the parts of an exact sum do, whose factors stand in it side by side. It costs nothing: overlaps
and inner products are there already.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpose.interference.borders import CONTAINED, CONTAINED_CHANCE
from superpose.interference.modules import PerModule


class Contained(NamedTuple):
    """part: 0 where the first of the pair lies within the second, 1 for the reverse.

    times: <part, whole> / |part|^2, how often the whole holds it, if what else the whole holds is
    unrelated to it.
    """

    part: int
    times: float


def contained(figures: PerModule, i: int, j: int) -> Contained | None:
    """Say whether adapter i is a part of adapter j, or j of i; None where neither is."""
    for part, (small, large) in enumerate(((i, j), (j, i))):
        square = float(figures.inner[:, small, small].sum())
        if square > 0.0 and _within(figures, small, large):
            times = float(figures.inner[:, small, large].sum()) / square
            scale = float(figures.scales[large] / figures.scales[small])
            return Contained(part, times * scale)
    return None


def _within(figures: PerModule, small: int, large: int) -> bool:
    """Whether both sides of every delta lie within those of a delta of more directions.

    A side that fills its space, by more than half, is no evidence; one with an input of its own
    alone (a bias) has no input side. At least one module must tell by both.
    """
    acting = figures.inner[:, small, small] > 0.0
    told = []
    for side, width in ((figures.outputs, 0), (figures.inputs, 1)):
        values, ranks, _ = side
        overlap = values[acting, small, large]
        if np.any(overlap < CONTAINED) or np.any(ranks[acting, small] >= ranks[acting, large]):
            return False
        chance = ranks[acting, large] / figures.shapes[acting, width]
        told.append((overlap >= CONTAINED) & (chance <= CONTAINED_CHANCE))
    present = figures.present[acting, large]
    return bool(present.all() and (told[0] & told[1]).any())
