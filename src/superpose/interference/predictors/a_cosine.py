"""The cosine of the A factors as matrices: whether the adapters started from one A.

sqrt(mean cos(A_i, A_j)^2) over target modules and others j. It is no property of the delta:
A -> RA, B -> B R^-1 changes it. Here as a competitor.
"""

from __future__ import annotations

from superpose.interference.predictors.factors import rms_factor_cosine
from superpose.interference.predictors.predictor import Case

__all__ = ["a_cosine"]


def a_cosine(case: Case) -> float:
    """Give the RMS cosine of the A factors; NaN where no two have one rank."""
    return rms_factor_cosine(case, lambda term: term.A)
