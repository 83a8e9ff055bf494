"""Lambda space to second order, on the task weights of the subset alone.

The polynomial of `lambda_space`, fitted to those measured points that no adapter outside the subset
takes part in: nearer to the sum that is asked for, and blind to how far from a polynomial the loss
is where all K adapters stand together. With K = 2 or 3 it is what `superpose predict` fits, but for
the point of the whole sum.
"""

from __future__ import annotations

import numpy as np

from superpose.landscape.polynomial import Polynomial
from superpose.landscape.predictors.case import DataCase

__all__ = ["lambda_subset"]


def lambda_subset(case: DataCase) -> float:
    """Give the predicted interference in nats an answer token.

    Raises BadInput where the points of the subset leave the polynomial undetermined.
    """
    kept = [case.place, *case.places]
    fitted = Polynomial.fit(case.calibration.sample.among(kept))
    own = np.eye(len(kept))[0]
    return float(fitted.predict(np.ones((1, len(kept))), against=own).nll[0])
