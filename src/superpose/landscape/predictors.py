"""What a domain's own data say about interference, and the table of all predictors.

The curvature H of a domain's loss is Kronecker-factored (Martens and Grosse, arXiv 1503.05671,
K-FAC): with S the second moment of a target module's inputs x and G that of the gradients g by the
module's outputs, both need the projections A_k x and B_k^T g alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.interference.predictors import DATA_FREE, Case, Predictor
from superpose.landscape.polynomial import Polynomial
from superpose.landscape.sample import Sample

__all__ = ["DATA_AWARE", "PARTS", "PREDICTORS", "Calibrated", "DataCase", "DataInner"]

Array = NDArray[np.float64]

PARTS = ("inner", "slope", "slopes", "values", "scattered")
"""What is measured apart, so that each predictor pays for what it reads: inner products under the
data; the slope at the own adapter; slopes with each other adapter beside it; values at the base
and the naive sum; values at scattered weights."""


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
        return None if self.scattered is None else Polynomial.fit(self.scattered, through=False)


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


def _osrm(case: DataCase) -> float:
    """Leave out modules where the own delta gives nothing; NaN where none is left."""
    inputs = case.calibration.inner.inputs
    own, others = (np.einsum("k,mkj,j->m", w, inputs, w) for w in (case.alone, case.rest))
    known = own > 0
    return math.sqrt(float(np.mean(others[known] / own[known]))) if known.any() else math.nan


def _kronecker_cosine(case: DataCase) -> float:
    """Give the cosine; NaN where one of the two changes nothing that the loss sees."""
    curvature = case.calibration.inner.curvature.sum(axis=0)
    own, others = case.alone, case.rest
    lengths = math.sqrt(max(0.0, own @ curvature @ own) * max(0.0, others @ curvature @ others))
    return float(own @ curvature @ others) / lengths if lengths > 0 else math.nan


def _gradient(case: DataCase) -> float:
    """Give the slope towards the others. Raises BadInput where it was not measured."""
    sample = case.calibration.sample
    at = sample.at(case.alone)
    slope = np.full(len(case.alone), np.nan) if at is None else sample.slope[at]
    if np.isnan(slope).any():
        raise BadInput("the loss's slope at the own adapter was not measured")
    return float(slope @ case.rest)


def _kronecker(case: DataCase) -> float:
    """Give slope and half the curvature. Raises BadInput where the slope was not measured."""
    curvature = case.calibration.inner.curvature.sum(axis=0)
    return _gradient(case) + float(case.rest @ curvature @ case.rest) / 2


def _pairs(case: DataCase) -> float:
    """Give what each other does alone, added up. Raises BadInput where a pair was not measured."""
    sample = case.calibration.sample
    identity = np.eye(len(case.alone))
    wanted = [case.alone, *(case.alone + identity[place] for place in case.places)]
    found = [sample.at(point) for point in wanted]
    if None in found:
        raise BadInput("a pair of adapters was not measured")
    alone, *beside = sample.loss[[at for at in found if at is not None]]
    return float(np.sum(np.asarray(beside) - alone))


def _change(loss: Polynomial | None, case: DataCase) -> float:
    """Give what the others change on a fitted loss; NaN where nothing was fitted."""
    if loss is None:
        return math.nan
    return float(loss.predict((case.alone + case.rest)[None], against=case.alone).nll[0])


DATA_AWARE: tuple[Predictor[DataCase], ...] = (
    Predictor(
        "OSRM",
        r"\sqrt{\frac{1}{M}\sum_m \mathrm{E}\lVert t_S x\rVert^2 / \mathrm{E}\lVert t_i x\rVert^2}",
        "what the others do to this domain's inputs: orthogonal deltas still disturb each other",
        _osrm,
        ("2505.22934",),
        frozenset({"inner"}),
    ),
    Predictor(
        "Kronecker cosine",
        r"t_i^\top H t_S / \sqrt{t_i^\top H t_i \cdot t_S^\top H t_S}",
        "the angle as the domain's loss sees it",
        _kronecker_cosine,
        ("1503.05671", "2310.12808"),
        frozenset({"inner"}),
    ),
    Predictor(
        "gradient",
        r"\nabla L_i(t_i) \cdot t_S",
        "the first-order change of the loss, not divided by lengths",
        _gradient,
        ("2601.22285", "2606.19549"),
        frozenset({"slope"}),
        in_nats=True,
    ),
    Predictor(
        "Kronecker quadratic",
        r"\nabla L_i(t_i) \cdot t_S + t_S^\top H t_S / 2",
        "the second-order change: the slope is exact, the curvature factored",
        _kronecker,
        ("1503.05671", "2310.12808"),
        frozenset({"inner", "slope"}),
        in_nats=True,
    ),
    Predictor(
        "MAP",
        r"\hat L_i(t_i + t_S) - \hat L_i(t_i)",
        "of a quadratic fitted to values at scattered task weights",
        lambda case: _change(case.calibration.scattered_loss, case),
        ("2406.07529",),
        frozenset({"scattered"}),
        in_nats=True,
    ),
    Predictor(
        "pairs evaluated",
        r"\sum_j \left( L_i(t_i + t_j) - L_i(t_i) \right)",
        "each other adapter added alone; what they do together is left out",
        _pairs,
        (),
        frozenset({"slope", "slopes"}),
        in_nats=True,
    ),
    Predictor(
        "lambda space",
        r"\hat L_i(t_i + t_S) - \hat L_i(t_i)",
        "of the polynomial above, fitted to values and slopes",
        lambda case: _change(case.calibration.loss, case),
        (),
        frozenset({"slope", "slopes", "values"}),
        in_nats=True,
    ),
)
"""From the cheapest to the dearest, more or less."""

PREDICTORS: tuple[Predictor[DataCase], ...] = (*DATA_FREE, *DATA_AWARE)
"""Everything that competes."""
