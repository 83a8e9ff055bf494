"""The cosine of the B factors as matrices.

sqrt(mean cos(B_i, B_j)^2) over target modules and others j. It is no property of the delta:
A -> RA, B -> B R^-1 changes it; `output_overlap` is what stays. Here as a competitor.
"""

from __future__ import annotations

from superpose.interference.predictors.factors import rms_factor_cosine
from superpose.interference.predictors.predictor import Case

__all__ = ["b_cosine"]


def b_cosine(case: Case) -> float:
    """Give the RMS cosine of the B factors; NaN where no two have one rank."""
    return rms_factor_cosine(case, lambda term: term.B)
