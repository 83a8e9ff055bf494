"""The angle of the deltas as the domain's loss sees it: a calibration-weighted cosine.

t_i' H t_S / sqrt(t_i' H t_i · t_S' H t_S) with a Kronecker-factored curvature H of the domain's
loss, summed over target modules, t_S = sum_j dW_j. It is `cosine` where H is the identity.
Source of the curvature: Martens and Grosse, arXiv 1503.05671; of Fisher-weighted merging: Daheim
et al., arXiv 2310.12808.
"""

from __future__ import annotations

import math

from superpose.landscape.predictors.case import DataCase

__all__ = ["kronecker_cosine"]


def kronecker_cosine(case: DataCase) -> float:
    """Give the cosine of the own adapter and the sum of the others under the curvature.

    NaN where one of them changes nothing that the loss sees. Invariant under A -> RA, B -> B R^-1
    and the scale of either side.
    """
    curvature = case.calibration.inner.curvature.sum(axis=0)
    own, others = case.alone, case.rest
    lengths = math.sqrt(max(0.0, own @ curvature @ own) * max(0.0, others @ curvature @ others))
    return float(own @ curvature @ others) / lengths if lengths > 0 else math.nan
