"""The paper's predictor: the cosine in each target module, as a root mean square.

sqrt(mean_m cos(dW_i, sum_j dW_j)^2) over the target modules m that both sides have (DESIGN,
formula 2). Source: Cao, Truong, Lizarraga, arXiv 2508.11985, for pairs; the sum of the others is
our reading for more.
"""

from __future__ import annotations

from superpose.interference.predictors.predictor import Case

__all__ = ["rms_cosine"]


def rms_cosine(case: Case) -> float:
    """Give the RMS cosine of the own adapter and the sum of the others; NaN where none exists.

    Invariant under A -> RA, B -> B R^-1 and under the scale of either side.
    """
    return case.pair.rms_cosine
