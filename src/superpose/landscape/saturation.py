"""Losses that grow less the further they have grown: what others do to a domain, all together.

What the others' weights do to the loss beside the own adapter is r, a polynomial; what is seen of
it is s(r) = log(1 + k r) / k where r > 0, and r itself below. Near the own adapter both are one. k,
in 1 / nats, is what makes the polynomial of base, own adapter and pairs meet the loss of the sum
of all adapters.

With one coefficient of all triple products in its place, and nothing that saturates, sums of three
of six adapters were foretold 0.10 nats too high and of four 0.38, of 0.38 and 0.78 (48 each,
calibration rows of `benchmarks/second`, seeds 0 and 1); so they are 0.03 and 0.10.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from superpose.landscape.fitting import NEAR
from superpose.landscape.sample import Sample

__all__ = ["root_of", "saturated", "unsaturated"]

Array = NDArray[np.float64]

LEAST, MOST, STEPS = 2.0**-8, 8.0, 32
"""The saturations that are tried, in one over the largest loss that is met, and how many."""

HALVINGS = 60


def saturated(rest: Array, saturation: float) -> tuple[Array, Array]:
    """Give s(r), and its derivative, of any shape. saturation: k; 0 for s(r) = r."""
    grown = saturation * np.maximum(rest, 0.0)
    if not saturation:
        return rest, np.ones_like(rest)
    return np.where(rest > 0, np.log1p(grown) / saturation, rest), 1.0 / (1.0 + grown)


def unsaturated(sample: Sample, own: int, saturation: float) -> Sample:
    """Give the sample of r that belongs to one of losses, saturation k > 0.

    own: position of the domain's own adapter, which was measured alone, with slopes. What is
    measured elsewhere than at its weight 1 stays. Rows have their shares in the mean's r to first
    order, so that they sum to it.
    """
    alone = sample.measured_at(np.eye(sample.points.shape[1])[own])
    total = sample.tokens.sum()
    lost = sample.nll - sample.nll[alone]  # (P, R)
    mean = lost.sum(axis=1) / total
    beside = (np.abs(sample.points[:, own] - 1) < NEAR) & (mean > 0)
    grown = np.where(beside, saturation * mean, 0.0)
    growth = np.exp(grown)  # ds^-1 / dloss
    level = np.where(beside, np.expm1(grown) / saturation - growth * mean, 0.0)
    nll = sample.nll[alone] + growth[:, None] * lost + level[:, None] * sample.tokens
    # Along its own weight a domain's loss changes without the others too, and that does not grow.
    by_itself = np.zeros_like(sample.gradient[:1])
    by_itself[..., own] = sample.gradient[alone, ..., own]
    slopes = sample.gradient - by_itself
    steeper = np.where(beside, saturation * growth, 0.0)[:, None] * (
        lost - mean[:, None] * sample.tokens
    )
    slopes = (
        growth[:, None, None, None] * slopes
        + steeper[:, :, None, None] * slopes.sum(axis=1, keepdims=True) / total
    )
    return replace(sample, nll=nll, gradient=slopes + by_itself)


def root_of(gap: Callable[[float], float], largest: float) -> float | None:
    """Give the least saturation at which `gap` is no longer above 0; None where it always is.

    None too where it never was: then nothing saturates. largest: nats of the largest loss beside
    the own adapter's that a polynomial is to meet.
    """
    tried: list[float] = (np.geomspace(LEAST, MOST, STEPS) / largest).tolist()
    place = next((n for n, each in enumerate(tried) if gap(each) <= 0), 0)
    if place == 0:
        return None
    low, above = tried[place - 1], tried[place]
    for _ in range(HALVINGS):
        middle = (low + above) / 2
        low, above = (middle, above) if gap(middle) > 0 else (low, middle)
    return (low + above) / 2
