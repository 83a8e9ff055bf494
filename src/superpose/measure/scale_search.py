"""Which scale of a merged adapter to measure next: one rule for every method."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["next_scale"]

STEP = 1.5
"""Factor from one scale to the next as long as the best lies at an end."""

_NEAR = 0.02
"""Two scales nearer than that factor are one."""


def next_scale(known: Mapping[float, float]) -> float:
    """Give the scale to be measured next, on the logarithm of the scale.

    known: objective by scale, at least one scale, all above 0; an objective may be infinite. Below
    or above an end that is the best so far; else at the vertex of the parabola through the best and
    its neighbours, and where that is known already or there is none, in the wider gap beside it.
    """
    scales = sorted(known)
    best = min(scales, key=known.__getitem__)
    place = scales.index(best)
    if place == 0:
        return best / STEP
    if place == len(scales) - 1:
        return best * STEP
    low, high = scales[place - 1], scales[place + 1]
    left, right = math.log(low / best), math.log(high / best)
    found = _vertex(left, known[low] - known[best], right, known[high] - known[best])
    if found is None or min(abs(found - x) for x in (left, 0.0, right)) < _NEAR:
        found = (left if -left > right else right) / 2.0
    return best * math.exp(found)


def _vertex(left: float, rise_left: float, right: float, rise_right: float) -> float | None:
    """Give where the parabola through (left, rise_left), (0, 0), (right, rise_right) is lowest."""
    curvature = (rise_right / right - rise_left / left) / (right - left)
    if not (math.isfinite(curvature) and curvature > 0.0):
        return None
    return -(rise_right / right - curvature * right) / (2.0 * curvature)
