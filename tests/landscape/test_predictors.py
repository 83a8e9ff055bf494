"""Data-aware predictors: right on losses that are quadratics, and on a tiny model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings, strategies as st

from superpose.adapter import Adapter, Delta
from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.interference.predictors import Predictor
from superpose.landscape.polynomial import design_points
from superpose.landscape.predictors import (
    DATA_AWARE,
    PARTS,
    PREDICTORS,
    Calibration,
    DataCase,
    DataInner,
)
from superpose.landscape.sample import Sample
from superpose.lowrank import dense, gram
from superpose.measure import data_inner
from superpose.measure.batches import collate
from superpose.measure.calibrate import measure
from superpose.measure.data_inner import measure_inner
from superpose.model import SuperposedModel

BY_NAME = {predictor.name: predictor for predictor in PREDICTORS}
IN_NATS = [predictor for predictor in DATA_AWARE if predictor.in_nats]
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
        self.calibration = Calibration(design, inner, scattered)

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


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 5), st.integers(0, 4), st.integers(0, 99))
def test_on_a_quadratic_loss_every_second_order_predictor_is_exact(
    adapters: int, own: int, seed: int
) -> None:
    bowl = Bowl(adapters, own % adapters, seed)
    others = tuple(k for k in range(adapters) if k != bowl.own)
    for name in ("lambda space", "MAP", "Kronecker quadratic"):
        for subset in (others, others[:1]):
            found = BY_NAME[name].predict(bowl.case(*subset))
            assert found == pytest.approx(bowl.interference(*subset), rel=1e-6, abs=1e-6), name


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
    calibration = Calibration(other, bowl.calibration.inner)
    predict = BY_NAME["lambda space"].predict
    pair = DataCase(bowl.adapters[0], bowl.adapters[1:2], calibration, 0, (1,))
    assert predict(pair) == pytest.approx(bowl.interference(1))
    every = DataCase(bowl.adapters[0], bowl.adapters[1:], calibration, 0, (1, 2, 3))
    assert predict(every) == pytest.approx(bowl.interference(1, 2, 3) + 0.5)


def test_the_gradient_is_the_slope_of_the_loss_towards_the_others() -> None:
    bowl = Bowl(3, 2, 0)
    own = np.eye(3)[2]
    slope = bowl.slope + bowl.curvature @ own
    assert BY_NAME["gradient"].predict(bowl.case(0, 1)) == pytest.approx(slope[0] + slope[1])


def plain(adapters: tuple[Adapter, ...]) -> DataInner:
    """Inner products under inputs and gradients that are white."""
    modules = tuple(adapters[0])
    values = np.stack([gram([each[m].terms for each in adapters]) for m in modules])
    return DataInner(values, values, modules)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99))
def test_white_data_make_the_weighted_cosine_the_plain_one(seed: int) -> None:
    adapters = tuple(adapter(seed + k) for k in range(3))
    calibration = Calibration(Bowl(3, 0, 0).calibration.sample, plain(adapters))
    case = DataCase(adapters[0], adapters[1:], calibration, 0, (1, 2))
    weighted, unweighted = BY_NAME["Kronecker cosine"], BY_NAME["cosine"]
    assert weighted.predict(case) == pytest.approx(unweighted.predict(case), abs=1e-6)
    ratios = [
        np.linalg.norm(sum(np.asarray(dense(a[m].terms)) for a in adapters[1:]))
        / np.linalg.norm(np.asarray(dense(adapters[0][m].terms)))
        for m in SHAPES
    ]
    wanted = np.sqrt(np.mean(np.square(ratios)))
    assert BY_NAME["OSRM"].predict(case) == pytest.approx(wanted, rel=1e-5)


def test_a_figure_that_does_not_exist_is_nan() -> None:
    bowl = Bowl(2, 0, 0)
    nothing = DataInner(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), ("a",))
    bare = Calibration(bowl.calibration.sample, nothing)
    case = DataCase(bowl.adapters[0], bowl.adapters[1:], bare, 0, (1,))
    for name in ("MAP", "OSRM", "Kronecker cosine"):
        assert math.isnan(BY_NAME[name].predict(case)), name


@pytest.mark.parametrize("name", ["gradient", "pairs evaluated"])
def test_what_was_not_measured_is_said(name: str) -> None:
    bowl = Bowl(2, 0, 0)
    scattered = bowl.calibration.scattered
    assert scattered is not None
    other = Calibration(scattered, bowl.calibration.inner)
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


# On a tiny model.


@pytest.fixture(scope="module")
def tiny() -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        num_hidden_layers=2, hidden_size=32, intermediate_size=48, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=61,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


ADAPTERS = tuple(adapter(k, 0.05) for k in range(3))


def examples(count: int = 5, seed: int = 0) -> list[Example]:
    """Questions and answers of unlike lengths, so that batches are padded."""
    rng = np.random.default_rng(seed)

    def draw(size: int) -> tuple[int, ...]:
        return tuple(int(token) for token in rng.integers(0, 61, size))

    return [Example(draw(2 + k), draw(3 + k % 2)) for k in range(count)]


def watch_dense(model: Any, rows: list[Example], own: Adapter) -> dict[str, list[torch.Tensor]]:
    """Inputs and gradients of each module's tokens, from weights written out and row by row."""
    modules = {name: model.get_submodule(name) for name in SHAPES}
    before = {name: module.weight.detach().clone() for name, module in modules.items()}
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in SHAPES}

    def keep(name: str) -> Any:
        def hook(_: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            output.retain_grad()
            seen[name].append(args[0].detach())
            seen[name].append(output)

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        with torch.no_grad():
            for name, module in modules.items():
                module.weight += torch.from_numpy(np.asarray(dense(own[name].terms)))
        generator = torch.Generator().manual_seed(0)
        data_inner._sampled_loss(model, collate(rows), generator).backward()
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad()
        with torch.no_grad():
            for name, module in modules.items():
                module.weight.copy_(before[name])
    return seen


def test_inner_products_are_those_of_dense_deltas_on_the_models_inputs_and_gradients(
    tiny: Any,
) -> None:
    rows = examples()
    with SuperposedModel(tiny, ADAPTERS) as model:
        found = measure_inner(model, rows, [1.0, 0.0, 0.0], batch_tokens=10**6)
    # In the order of the batch, so that the same labels are drawn.
    ordered = sorted(rows, key=lambda row: -row.length)
    seen = watch_dense(tiny, ordered, ADAPTERS[0])
    real = [torch.arange(max(r.length for r in rows)) < row.length for row in ordered]
    answers = sum(len(row.answer) for row in rows)
    for m, name in enumerate(found.modules):
        x, output = seen[name]
        X = x[torch.stack(real)].double().numpy()
        G = output.grad[torch.stack(real)].double().numpy()
        deltas = [np.asarray(dense(a[name].terms), dtype=np.float64) for a in ADAPTERS]
        moved = [X @ delta.T for delta in deltas]
        meetings = [each @ G.T for each in moved]
        tokens = len(X)
        for j in range(3):
            for k in range(3):
                assert found.inputs[m, j, k] == pytest.approx(
                    np.vdot(moved[j], moved[k]) / tokens, rel=1e-4, abs=1e-7
                )
                assert found.curvature[m, j, k] == pytest.approx(
                    np.vdot(meetings[j], meetings[k]) / tokens / answers, rel=1e-3, abs=1e-9
                )


def test_the_curvature_of_one_token_is_the_square_of_the_sampled_slope(tiny: Any) -> None:
    """With one token there is nothing that a Kronecker factorisation could lose."""
    row = [Example((7,), (9,))]
    with SuperposedModel(tiny, ADAPTERS) as model:
        found = measure_inner(model, row, [0.0, 1.0, 0.0])
        each = torch.zeros(1, len(model.modules), 3)
        each[..., 1] = 1.0
        each.requires_grad_()
        with model.at(each) as at:
            generator = torch.Generator().manual_seed(0)
            loss = data_inner._sampled_loss(at, collate(row), generator)
        (slopes,) = torch.autograd.grad(loss, each)
    wanted = np.einsum("mj,mk->mjk", slopes[0].numpy(), slopes[0].numpy())
    np.testing.assert_allclose(found.curvature, wanted, rtol=1e-3, atol=1e-8)


def test_batches_and_factors_change_no_inner_product(tiny: Any) -> None:
    R = np.array([[2.0, 1.0], [0.5, 1.5]])
    turned = tuple(
        Adapter(
            {
                name: Delta.of(d.terms[0].B @ np.linalg.inv(R), R @ d.terms[0].A, 0.05)
                for name, d in each.items()
            },
            each.name,
        )
        for each in ADAPTERS
    )
    rows = examples(4)
    with SuperposedModel(tiny, ADAPTERS) as model:
        whole = measure_inner(model, rows, [1.0, 0.0, 0.0], batch_tokens=10**6)
        single = measure_inner(model, rows, [1.0, 0.0, 0.0], batch_tokens=1)
    with SuperposedModel(tiny, turned) as model:
        other = measure_inner(model, rows, [1.0, 0.0, 0.0], batch_tokens=10**6)
    np.testing.assert_allclose(single.inputs, whole.inputs, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(other.inputs, whole.inputs, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(other.curvature, whole.curvature, rtol=1e-3, atol=1e-8)


def test_measuring_leaves_the_model_as_it_was(tiny: Any) -> None:
    ids = torch.arange(6)[None]
    with torch.no_grad():
        before = tiny(ids).logits
    with SuperposedModel(tiny, ADAPTERS) as model:
        measure_inner(model, examples(2), [1.0, 0.0, 0.0])
    assert all(not module._forward_hooks for module in tiny.modules())
    assert all(parameter.grad is None for parameter in tiny.parameters())
    with torch.no_grad():
        assert torch.equal(tiny(ids).logits, before)


@pytest.fixture(scope="module")
def calibration(tiny: Any) -> Calibration:
    with SuperposedModel(tiny, ADAPTERS) as model:
        rows = examples(6)
        with_slope, plain_points = design_points(0, 3)
        sample = measure(model, rows, with_slope)
        sample = sample.joined(measure(model, rows, plain_points, gradients=False))
        drawn = np.random.default_rng(0).uniform(size=(20, 3))
        scattered = measure(model, rows, drawn, gradients=False)
        inner = measure_inner(model, rows, [1.0, 0.0, 0.0])
    return Calibration(sample, inner, scattered)


@pytest.mark.parametrize("predictor", PREDICTORS, ids=lambda each: each.name)
def test_every_predictor_gives_a_number_for_a_measured_domain(
    calibration: Calibration, predictor: Predictor[DataCase]
) -> None:
    for others in ((1,), (1, 2)):
        rest = tuple(ADAPTERS[k] for k in others)
        case = DataCase(ADAPTERS[0], rest, calibration, 0, others)
        assert math.isfinite(predictor.predict(case))


def test_lambda_space_and_map_foretell_the_loss_of_a_sum(
    tiny: Any, calibration: Calibration
) -> None:
    with SuperposedModel(tiny, ADAPTERS) as model:
        found = measure(model, examples(6), [[1, 0, 0], [1, 1, 1], [1, 0, 1]], gradients=False)
    own, triple, pair = found.loss
    for others, wanted in (((1, 2), triple - own), ((2,), pair - own)):
        rest = tuple(ADAPTERS[k] for k in others)
        case = DataCase(ADAPTERS[0], rest, calibration, 0, others)
        for name in ("lambda space", "MAP"):
            predicted = BY_NAME[name].predict(case)
            assert predicted == pytest.approx(wanted, abs=0.1 * abs(wanted) + 0.002), name
