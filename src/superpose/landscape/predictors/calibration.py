"""What was measured of one domain on its calibration rows: all that a predictor may look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from superpose.landscape.polynomial import Polynomial
from superpose.landscape.predictors.data_inner import DataInner
from superpose.landscape.sample import Sample

__all__ = ["PARTS", "Calibration"]

PARTS = ("inner", "slope", "slopes", "values", "scattered")
"""What is measured apart, so that each predictor pays for what it reads: inner products under the
data; the slope at the own adapter; slopes with each other adapter beside it; values at the base
and the naive sum; values at scattered weights."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """One domain's measurements with K adapters.

    sample: at the points of `design_points`. inner: at the own adapter. scattered: values at task
    weights drawn from [0, 1]^K; None where they were not measured.
    """

    sample: Sample
    inner: DataInner
    scattered: Sample | None = None

    @cached_property
    def loss(self) -> Polynomial:
        """The domain's loss, fitted to values and slopes."""
        return Polynomial.fit(self.sample)

    @cached_property
    def scattered_loss(self) -> Polynomial | None:
        """The domain's loss, fitted to scattered values alone; None where there are none."""
        return None if self.scattered is None else Polynomial.fit(self.scattered)
