"""The angle of whole adapters, signed.

<dW_i, sum_j dW_j> / (|dW_i| |sum_j dW_j|), inner products and squared norms summed over the target
modules: large modules count more than in the RMS cosine (DESIGN, formula 2).
"""

from __future__ import annotations

from superpose.interference.predictors.predictor import Case

__all__ = ["cosine"]


def cosine(case: Case) -> float:
    """Give the cosine of the own adapter and the sum of the others; NaN where one is zero.

    Invariant under A -> RA, B -> B R^-1 and under the scale of either side.
    """
    return case.pair.cosine
