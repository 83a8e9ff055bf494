"""What a domain's own data say about interference, and the table of all predictors."""

from __future__ import annotations

import math

import numpy as np

from superpose.errors import BadInput
from superpose.interference.predictors import DATA_FREE, Predictor
from superpose.landscape.calibrated import DataCase
from superpose.landscape.polynomial import Polynomial

__all__ = ["DATA_AWARE", "PREDICTORS"]


def _osrm(case: DataCase) -> float:
    """Leave out modules where the own delta gives nothing; NaN where none is left."""
    inputs = case.calibration.inner.inputs
    own, others = (np.einsum("k,mkj,j->m", w, inputs, w) for w in (case.alone, case.rest))
    known = own > 0
    return math.sqrt(float(np.mean(others[known] / own[known]))) if known.any() else math.nan


def _activation_distance(case: DataCase) -> float:
    inputs = case.calibration.inner.inputs.sum(axis=0)
    return math.sqrt(max(0.0, float(case.rest @ inputs @ case.rest)))


def _gradient_distance(case: DataCase) -> float:
    """Give NaN where the other domains' slopes were not measured."""
    slopes = case.calibration.slopes
    if slopes is None:
        return math.nan
    apart = slopes[list(case.places)] - slopes[case.place]
    return float(np.linalg.norm(apart, axis=1).sum())


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


def _sum_evaluated(case: DataCase) -> float:
    """Give NaN where the sum or the own adapter was not evaluated."""
    sums = case.calibration.sums
    if sums is None:
        return math.nan
    own, both = sums.at(case.alone), sums.at(case.alone + case.rest)
    return math.nan if own is None or both is None else float(sums.loss[both] - sums.loss[own])


def _map_of_merge(case: DataCase) -> float:
    """Give NaN where the merge was not measured."""
    places = tuple(sorted({case.place, *case.places}))
    loss = case.calibration.merged_loss(places)
    if loss is None:
        return math.nan
    own = np.eye(len(places))[places.index(case.place)]
    return float(loss.predict(np.ones((1, len(places))), against=own).nll[0])


def _change(loss: Polynomial | None, case: DataCase) -> float:
    """Give what the others change on a fitted loss; NaN where nothing was fitted."""
    if loss is None:
        return math.nan
    return float(loss.predict((case.alone + case.rest)[None], against=case.alone).nll[0])


DATA_AWARE: tuple[Predictor[DataCase], ...] = (
    Predictor(
        "activation distance",
        r"\sqrt{\sum_m \mathrm{E}\lVert t_S x\rVert^2}",
        "how far the others move the target modules' outputs on this domain's inputs",
        _activation_distance,
        ("2601.22285",),  # there of two models' mean activations in one layer
        frozenset({"inner"}),
    ),
    Predictor(
        "after OSRM",
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
        "after gradient alignment",
        r"\nabla L_i(t_i) \cdot t_S",
        "the first-order change of the loss, not divided by lengths",
        _gradient,
        ("2601.22285", "2606.19549"),
        frozenset({"slope"}),
        in_nats=True,
    ),
    Predictor(
        "after gradient distance",
        r"\sum_{j \in S} \lVert \nabla_\lambda L_i(t_i) - \nabla_\lambda L_j(t_j)\rVert",
        "how unlike the slopes of both domains' losses are, each at its own adapter",
        _gradient_distance,
        ("2601.22285",),  # there of gradients by all weights of the encoder
        frozenset({"slope"}),
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
        "MAP, one merge",
        r"\hat L_i^S(t_i + t_S) - \hat L_i^S(t_i)",
        "the same fitted for each merge to as many values as it has coefficients, as published",
        _map_of_merge,
        ("2406.07529",),
        frozenset({"merges"}),
        in_nats=True,
    ),
    Predictor(
        "pairs evaluated",
        r"\sum_j \left( L_i(t_i + t_j) - L_i(t_i) \right)",
        "each other adapter added alone; what they do together is left out",
        _pairs,
        (),
        frozenset({"pairs"}),
        in_nats=True,
    ),
    Predictor(
        "sum evaluated",
        r"L_i(t_i + t_S) - L_i(t_i)",
        "the very sum on the calibration rows: one pass a row for each sum that is asked",
        _sum_evaluated,
        (),
        frozenset({"sums"}),
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
