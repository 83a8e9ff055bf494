"""The quantile of Student's t, for intervals around the mean of a few rows."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

__all__ = ["student_quantile"]


def student_quantile(share: float, degrees: int) -> float:
    """Give the t below which a share of Student's distribution lies.

    share: above 1/2 and below 1. degrees: of freedom, at least 1. Newton's steps from the normal
    quantile, which lies below: the distribution is concave there, so none of them goes too far.
    """
    log_peak = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    peak = math.exp(log_peak) / math.sqrt(math.pi * degrees)
    t = NormalDist().inv_cdf(share)
    while True:
        density = peak * (1 + t * t / degrees) ** (-(degrees + 1) / 2)
        further = t + (share - (1 + _within(t, degrees)) / 2) / density
        if not further > t * (1 + 1e-15):
            return t
        t = further


def _within(t: float, degrees: int) -> float:
    """Give the share between -t and t: Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan2(t, math.sqrt(degrees))
    odd = degrees % 2
    # 1, 1/2, 1·3/(2·4), ... times even powers of the cosine; 1, 2/3, ... times odd ones.
    k = np.arange(1, (degrees - 1 - odd) // 2 + 1) * 2.0
    ratios = (k / (k + 1) if odd else (k - 1) / k) * math.cos(angle) ** 2
    total = (1.0 + float(np.cumprod(ratios).sum())) * math.sin(angle)
    if not odd:
        return total
    return 2 / math.pi * (angle + (total * math.cos(angle) if degrees > 1 else 0.0))
