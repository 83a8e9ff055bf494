"""The second-order change of the loss as if it curved alike in all directions.

<t_i, t_S> + |t_S|^2 / 2 with t_S = sum_j dW_j: what t_i' H t_S + t_S' H t_S / 2 becomes for H = 1.
It is the plain inner product with the norms kept, which a cosine drops.
"""

from __future__ import annotations

import math

from superpose.interference.predictors.predictor import Case

__all__ = ["isotropic"]


def isotropic(case: Case) -> float:
    """Give the inner product with the others' sum plus half its squared norm.

    Invariant under A -> RA, B -> B R^-1. A zero adapter gives what the norms alone say.
    """
    own, others = case.pair.norms
    inner = 0.0 if math.isnan(case.pair.cosine) else case.pair.cosine * own * others
    return inner + others * others / 2
