"""How much the others' deltas do to this domain's inputs, beside the own delta.

sqrt(mean_m E|sum_j dW_j x|^2 / E|dW_i x|^2), x the inputs of target module m on the calibration
tokens under the own adapter. Orthogonal deltas still disturb each other through dW_j x. Source:
OSRM, arXiv 2505.22934, which makes it small before training.
"""

from __future__ import annotations

import math

import numpy as np

from superpose.landscape.predictors.case import DataCase

__all__ = ["osrm"]


def osrm(case: DataCase) -> float:
    """Give the RMS over target modules of the others' outputs relative to the own adapter's.

    Modules where the own delta gives nothing are left out; NaN where none is left. Invariant under
    A -> RA, B -> B R^-1.
    """
    inputs = case.calibration.inner.inputs
    own, others = (np.einsum("k,mkj,j->m", w, inputs, w) for w in (case.alone, case.rest))
    known = own > 0
    return math.sqrt(float(np.mean(others[known] / own[known]))) if known.any() else math.nan
