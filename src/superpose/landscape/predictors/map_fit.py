"""A quadratic in lambda fitted to evaluated losses alone, at scattered task weights.

L_i ~ constant + slope · lambda + lambda' H lambda / 2 by least squares from values at weights drawn
uniformly from [0, 1]^K, at least (K + 1)(K + 2) / 2 of them. Source: MAP, arXiv 2406.07529, which
fits a metric of each task so.
"""

from __future__ import annotations

import math

from superpose.landscape.predictors.case import DataCase

__all__ = ["map_fit"]


def map_fit(case: DataCase) -> float:
    """Give the predicted interference in nats an answer token; NaN where nothing was scattered."""
    fitted = case.calibration.scattered_loss
    if fitted is None:
        return math.nan
    return float(fitted.predict((case.alone + case.rest)[None], against=case.alone).nll[0])
