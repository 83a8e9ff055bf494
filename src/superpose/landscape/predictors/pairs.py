"""Just evaluate the pairs: each other adapter added alone, on the calibration rows.

sum_j (L_i(t_i + dW_j) - L_i(t_i)). For a pair it is the interference itself, on other rows of the
domain; what it leaves out is how the others of a larger subset act together.
"""

from __future__ import annotations

import numpy as np

from superpose.errors import BadInput
from superpose.landscape.predictors.case import DataCase

__all__ = ["pairs"]


def pairs(case: DataCase) -> float:
    """Give the predicted interference in nats an answer token.

    Raises BadInput where a pair was not measured.
    """
    sample = case.calibration.sample
    identity = np.eye(len(case.alone))
    wanted = [case.alone, *(case.alone + identity[place] for place in case.places)]
    found = [sample.at(point) for point in wanted]
    if None in found:
        raise BadInput("a pair of adapters was not measured")
    alone, *beside = sample.loss[[at for at in found if at is not None]]
    return float(np.sum(np.asarray(beside) - alone))
