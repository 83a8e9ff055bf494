"""What was measured of a domain with K adapters beside its own: all that predictors look at.

The curvature H of a domain's loss is Kronecker-factored (Martens and Grosse, arXiv 1503.05671,
K-FAC): with S the second moment of a target module's inputs x and G that of the gradients g by the
module's outputs, both need the projections A_k x and B_k^T g alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.interference.predictors import Case
from superpose.landscape.polynomial import Polynomial
from superpose.landscape.sample import Sample

__all__ = ["PARTS", "Calibrated", "DataCase", "DataInner"]

Array = NDArray[np.float64]

PARTS = ("inner", "slope", "slopes", "values", "scattered", "pairs", "sums", "merges")
"""What is measured apart, so that each predictor pays for what it reads: inner products under the
data; the slope at the own adapter; slopes with each other adapter beside it; values at the base
and the naive sum; values at scattered weights of all adapters; values where slopes are taken, for
who needs no slopes; values at the very sums that are asked; values at scattered weights of each
merge that is asked."""


@dataclass(frozen=True, eq=False)
class DataInner:
    """Inner products of K deltas in M target modules as one domain's data weigh them.

    inputs[m, j, k]: the mean over tokens of (dW_j x) . (dW_k x), which is
    sum((B_j^T B_k) * (A_j S A_k^T)). curvature[m, j, k]: t_j' H t_k in nats an answer token, a
    multiple of sum((B_j^T G B_k) * (A_j S A_k^T)). Both (M, K, K), symmetric, zero where a delta is
    not there, the plain inner product for S = G = identity. modules: M names.

    Raises BadInput when the shapes do not belong together or a value is not finite.
    """

    inputs: Array
    curvature: Array
    modules: tuple[str, ...]

    def __post_init__(self) -> None:
        count = self.inputs.shape[-1]
        wanted = (len(self.modules), count, count)
        if self.inputs.shape != wanted or self.curvature.shape != wanted:
            raise BadInput("inner products and target modules do not belong together")
        if not (np.isfinite(self.inputs).all() and np.isfinite(self.curvature).all()):
            raise BadInput(
                "activations or gradients of the model are not finite",
                hint="An adapter that large breaks the model; add with smaller task weights.",
            )


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What was measured of one domain with K adapters: all that a predictor may look at.

    sample: at the points of `design_points`. inner: at the own adapter. scattered: values at task
    weights drawn from [0, 1]^K; None where they were not measured. sums: values at the sums that
    are asked. merges: by the places of a sum's adapters, ascending, values at scattered weights of
    these alone. slopes: (K, K), the k-th row the slope of the k-th adapter's own domain's loss at
    that adapter alone, by each task weight.
    """

    sample: Sample
    inner: DataInner
    scattered: Sample | None = None
    sums: Sample | None = None
    merges: Mapping[tuple[int, ...], Sample] = field(default_factory=dict)
    slopes: Array | None = None

    @cached_property
    def loss(self) -> Polynomial:
        """The domain's loss, fitted to values and slopes."""
        return Polynomial.fit(self.sample)

    @cached_property
    def scattered_loss(self) -> Polynomial | None:
        """The domain's loss, fitted to scattered values alone; None where there are none."""
        return None if self.scattered is None else Polynomial.fit(self.scattered, through=False)

    def merged_loss(self, places: tuple[int, ...]) -> Polynomial | None:
        """Give the domain's loss in the weights of one merge; None where it was not measured."""
        merge = self.merges.get(places)
        return None if merge is None else Polynomial.fit(merge, through=False)


@dataclass(frozen=True, eq=False)
class DataCase(Case):
    """One adapter in a sum, on its own domain's calibration.

    calibration: of the own adapter's domain, measured with K adapters. place, places: which of the
    K the own adapter is, and which the others are.
    """

    calibration: Calibrated
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
