"""A case with the domain's data: one adapter among others, and what was measured beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.interference.predictors import Case
from superpose.landscape.predictors.calibration import Calibration

__all__ = ["DataCase"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DataCase(Case):
    """One adapter in a sum, on its own domain's calibration.

    calibration: of the own adapter's domain, measured with K adapters. place, places: which of the
    K the own adapter is, and which the others are.
    """

    calibration: Calibration
    place: int
    places: tuple[int, ...]

    @property
    def alone(self) -> Array:
        """(K,) task weights of the own adapter alone."""
        weights = np.zeros(self.calibration.sample.points.shape[1])
        weights[self.place] = 1.0
        return weights

    @property
    def rest(self) -> Array:
        """(K,) task weights of the others alone."""
        weights = np.zeros_like(self.alone)
        weights[list(self.places)] = 1.0
        return weights
