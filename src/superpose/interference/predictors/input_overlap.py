"""Whether the adapters read from the same inputs.

mean_m |P_i^T P_j|_F^2 / min(r_i, r_j) of the row spaces of A (DESIGN, formula 4); the row space of
a sum is that of all its adapters together.
"""

from __future__ import annotations

from superpose.interference.predictors.predictor import Case

__all__ = ["input_overlap"]


def input_overlap(case: Case) -> float:
    """Give the input-side overlap of the own adapter and the sum of the others, 0 to 1.

    NaN where no target module has both. Invariant under A -> RA, B -> B R^-1 and any scale.
    """
    return case.pair.input_overlap
