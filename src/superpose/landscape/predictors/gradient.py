"""The first-order change of the loss at the own adapter: how the gradient and the others align.

grad L_i(t_i) · sum_j dW_j, one backward pass in lambda space. Source of gradient alignment as a
sign of mergeability: arXiv 2601.22285, arXiv 2606.19549; in nats here, not divided by lengths.
"""

from __future__ import annotations

import numpy as np

from superpose.errors import BadInput
from superpose.landscape.predictors.case import DataCase

__all__ = ["gradient"]


def gradient(case: DataCase) -> float:
    """Give the slope at the own adapter towards the others, in nats an answer token.

    Raises BadInput where it was not measured.
    """
    sample = case.calibration.sample
    at = sample.at(case.alone)
    slope = np.full(len(case.alone), np.nan) if at is None else sample.slope[at]
    if np.isnan(slope).any():
        raise BadInput("the loss's slope at the own adapter was not measured")
    return float(slope @ case.rest)
