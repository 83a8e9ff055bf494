"""How large the others are beside the own adapter.

|sum_j dW_j| / |dW_i|, Frobenius norms over all target modules (DESIGN, formula 5, with its
direction kept: the smaller adapter is the one that is disturbed).
"""

from __future__ import annotations

import math

from superpose.interference.predictors.predictor import Case

__all__ = ["norm_ratio"]


def norm_ratio(case: Case) -> float:
    """Give the norm of the others' sum over the own adapter's; NaN beside a zero adapter."""
    own, others = case.pair.norms
    return others / own if own > 0 else math.nan
