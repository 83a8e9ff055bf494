"""Data-aware predictors: right on losses that are quadratics."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput
from superpose.landscape.calibrated import PARTS, Calibrated, DataCase, DataInner
from superpose.landscape.predictors import DATA_AWARE, PREDICTORS
from superpose.landscape.sample import Sample
from superpose.landscape.subsets import design_points
from superpose.lowrank import dense, gram

BY_NAME = {predictor.name: predictor for predictor in PREDICTORS}
Q, DOWN = "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"
SHAPES = {Q: (32, 32), DOWN: (32, 48)}


def adapter(seed: int, size: float = 0.02) -> Adapter:
    rng = np.random.default_rng(seed)
    return Adapter(
        {
            name: Delta.of(
                rng.standard_normal((out, 2)).astype(np.float32),
                rng.standard_normal((2, width)).astype(np.float32),
                size,
            )
            for name, (out, width) in SHAPES.items()
        },
        f"a{seed}",
    )


class Bowl:
    """A domain whose loss is a known quadratic of K task weights."""

    def __init__(self, adapters: int, own: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        root = rng.normal(size=(adapters, adapters))
        self.slope, self.curvature = rng.normal(size=adapters), root @ root.T
        self.own, self.adapters = own, tuple(adapter(k) for k in range(adapters))
        with_slope, plain = design_points(own, adapters)
        design = self.sample(np.array([*with_slope, *plain]), len(with_slope))
        coefficients = (adapters + 1) * (adapters + 2) // 2
        scattered = self.sample(rng.uniform(size=(2 * coefficients, adapters)), 0)
        weighed = np.stack([self.curvature / 4, 3 * self.curvature / 4])
        inner = DataInner(weighed, weighed, ("a", "b"))
        self.slopes = rng.normal(size=(adapters, adapters))
        self.slopes[own] = self.slope + self.curvature[own]
        self.calibration = Calibrated(
            design, inner, scattered, self.sums(), self.merges(rng), self.slopes
        )

    def sums(self) -> Sample:
        """Every sum of weight 1 that holds the own adapter."""
        corners = np.array(list(itertools.product([0.0, 1.0], repeat=len(self.adapters))))
        return self.sample(corners[corners[:, self.own] == 1], 0)

    def merges(self, rng: np.random.Generator) -> dict[tuple[int, ...], Sample]:
        """As many values as coefficients, for each merge that holds the own adapter."""
        found = {}
        for size in range(2, len(self.adapters) + 1):
            for places in itertools.combinations(range(len(self.adapters)), size):
                points = np.zeros(((size + 1) * (size + 2) // 2, len(self.adapters)))
                points[:, list(places)] = rng.uniform(size=(len(points), size))
                found[places] = self.sample(points, 0).among(places)
        return found

    def loss(self, point: np.ndarray) -> float:
        return float(3.0 + self.slope @ point + point @ self.curvature @ point / 2)

    def sample(self, points: np.ndarray, slopes: int) -> Sample:
        tokens = np.array([3, 5])
        nll = np.array([[self.loss(p) * n for n in tokens] for p in points])
        gradient = np.array([[[self.slope + self.curvature @ p]] * 2 for p in points])
        gradient = gradient * tokens[:, None, None]
        gradient[slopes:] = np.nan
        return Sample(points, nll, gradient, tokens, ("all",))

    def case(self, *others: int) -> DataCase:
        rest = tuple(self.adapters[k] for k in others)
        return DataCase(self.adapters[self.own], rest, self.calibration, self.own, others)

    def interference(self, *others: int) -> float:
        identity = np.eye(len(self.adapters))
        both = identity[self.own] + identity[list(others)].sum(axis=0)
        return self.loss(both) - self.loss(identity[self.own])


def oracles(bowl: Bowl, others: tuple[int, ...]) -> dict[str, float]:
    """Every predictor that needs data, in closed form on a loss that is a quadratic."""
    own = np.eye(len(bowl.adapters))[bowl.own]
    rest = np.eye(len(bowl.adapters))[list(others)].sum(axis=0)
    H = bowl.curvature
    exact = bowl.interference(*others)
    return {
        "activation distance": np.sqrt(rest @ H @ rest),
        "after OSRM": np.sqrt(rest @ H @ rest / (own @ H @ own)),
        "Kronecker cosine": own @ H @ rest / np.sqrt((own @ H @ own) * (rest @ H @ rest)),
        "after gradient alignment": (bowl.slope + H @ own) @ rest,
        "after gradient distance": sum(
            np.linalg.norm(bowl.slopes[bowl.own] - bowl.slopes[other]) for other in others
        ),
        "Kronecker quadratic": exact,
        "MAP": exact,
        "MAP, one merge": exact,
        "pairs evaluated": sum(bowl.interference(other) for other in others),
        "sum evaluated": exact,
        "lambda space": exact,
    }


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 5), st.integers(0, 4), st.integers(0, 99))
def test_on_a_quadratic_loss_every_predictor_is_what_its_formula_gives(
    adapters: int, own: int, seed: int
) -> None:
    bowl = Bowl(adapters, own % adapters, seed)
    others = tuple(k for k in range(adapters) if k != bowl.own)
    for subset in (others, others[:1]):
        found = {each.name: each.predict(bowl.case(*subset)) for each in DATA_AWARE}
        wanted = oracles(bowl, subset)
        assert set(found) == set(wanted)
        assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_pairs_that_were_evaluated_leave_out_what_others_do_together() -> None:
    bowl = Bowl(4, 1, 0)
    predict = BY_NAME["pairs evaluated"].predict
    assert predict(bowl.case(3)) == pytest.approx(bowl.interference(3))
    together = bowl.curvature[0, 3]
    assert predict(bowl.case(0, 3)) == pytest.approx(bowl.interference(0, 3) - together)


def test_how_the_loss_bends_where_all_stand_together_does_not_reach_small_sums() -> None:
    """The naive sum of four is met, and a pair is predicted as if it had not been measured."""
    bowl = Bowl(4, 0, 0)
    sample = bowl.calibration.sample
    bent = sample.nll + 0.5 * sample.tokens * (sample.points.sum(axis=1) > 3)[:, None]
    other = Sample(sample.points, bent, sample.gradient, sample.tokens, sample.modules)
    calibration = Calibrated(other, bowl.calibration.inner)
    predict = BY_NAME["lambda space"].predict
    pair = DataCase(bowl.adapters[0], bowl.adapters[1:2], calibration, 0, (1,))
    assert predict(pair) == pytest.approx(bowl.interference(1))
    every = DataCase(bowl.adapters[0], bowl.adapters[1:], calibration, 0, (1, 2, 3))
    assert predict(every) == pytest.approx(bowl.interference(1, 2, 3) + 0.5)


def plain(adapters: tuple[Adapter, ...]) -> DataInner:
    """Inner products under inputs and gradients that are white."""
    modules = tuple(adapters[0])
    values = np.stack([gram([each[m].terms for each in adapters]) for m in modules])
    return DataInner(values, values, modules)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99))
def test_white_data_make_the_weighted_cosine_the_plain_one(seed: int) -> None:
    adapters = tuple(adapter(seed + k) for k in range(3))
    calibration = Calibrated(Bowl(3, 0, 0).calibration.sample, plain(adapters))
    case = DataCase(adapters[0], adapters[1:], calibration, 0, (1, 2))
    weighted, unweighted = BY_NAME["Kronecker cosine"], BY_NAME["cosine"]
    assert weighted.predict(case) == pytest.approx(unweighted.predict(case), abs=1e-6)
    ratios = [
        np.linalg.norm(sum(np.asarray(dense(a[m].terms)) for a in adapters[1:]))
        / np.linalg.norm(np.asarray(dense(adapters[0][m].terms)))
        for m in SHAPES
    ]
    wanted = np.sqrt(np.mean(np.square(ratios)))
    assert BY_NAME["after OSRM"].predict(case) == pytest.approx(wanted, rel=1e-5)
    moved = np.linalg.norm(
        [np.linalg.norm(sum(np.asarray(dense(a[m].terms)) for a in adapters[1:])) for m in SHAPES]
    )
    assert BY_NAME["activation distance"].predict(case) == pytest.approx(moved, rel=1e-5)


def test_a_figure_that_does_not_exist_is_nan() -> None:
    bowl = Bowl(2, 0, 0)
    nothing = DataInner(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), ("a",))
    bare = Calibrated(bowl.calibration.sample, nothing)
    case = DataCase(bowl.adapters[0], bowl.adapters[1:], bare, 0, (1,))
    for name in (
        "MAP",
        "MAP, one merge",
        "after OSRM",
        "after gradient distance",
        "Kronecker cosine",
        "sum evaluated",
    ):
        assert math.isnan(BY_NAME[name].predict(case)), name


def test_a_sum_that_was_not_evaluated_has_no_figure() -> None:
    bowl = Bowl(3, 0, 0)
    calibrated = bowl.calibration
    assert calibrated.sums is not None
    one = bowl.sample(calibrated.sums.points[:2], 0)
    fewer = Calibrated(calibrated.sample, calibrated.inner, sums=one)
    case = DataCase(bowl.adapters[0], bowl.adapters[1:], fewer, 0, (1, 2))
    assert math.isnan(BY_NAME["sum evaluated"].predict(case))


@pytest.mark.parametrize("name", ["after gradient alignment", "pairs evaluated"])
def test_what_was_not_measured_is_said(name: str) -> None:
    bowl = Bowl(2, 0, 0)
    scattered = bowl.calibration.scattered
    assert scattered is not None
    other = Calibrated(scattered, bowl.calibration.inner)
    case = DataCase(bowl.adapters[0], bowl.adapters[1:], other, 0, (1,))
    with pytest.raises(BadInput, match="not measured"):
        BY_NAME[name].predict(case)


def test_inner_products_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="belong together"):
        DataInner(np.zeros((1, 2, 2)), np.zeros((2, 2, 2)), ("a",))
    with pytest.raises(BadInput, match="not finite"):
        DataInner(np.full((1, 2, 2), np.nan), np.zeros((1, 2, 2)), ("a",))


def test_every_predictor_reads_parts_that_are_measured() -> None:
    assert len(BY_NAME) == len(PREDICTORS)
    assert set().union(*(predictor.needs for predictor in PREDICTORS)) == set(PARTS)
    assert all(predictor.needs for predictor in DATA_AWARE)
