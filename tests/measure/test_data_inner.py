"""Inner products under a domain's data, and every predictor, on a tiny model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.landscape.test_predictors import BY_NAME, SHAPES, adapter

from superpose.adapter import Adapter, Delta
from superpose.data.prompt import Example
from superpose.interference.predictors import Predictor
from superpose.landscape.calibrated import Calibrated, DataCase
from superpose.landscape.predictors import PREDICTORS
from superpose.landscape.subsets import design_points
from superpose.lowrank import dense
from superpose.measure import data_inner
from superpose.measure.batches import collate
from superpose.measure.calibrate import measure
from superpose.measure.data_inner import measure_inner
from superpose.model import SuperposedModel


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
def calibration(tiny: Any) -> Calibrated:
    with SuperposedModel(tiny, ADAPTERS) as model:
        rows = examples(6)
        with_slope, plain_points = design_points(0, 3)
        sample = measure(model, rows, with_slope)
        sample = sample.joined(measure(model, rows, plain_points, gradients=False))
        drawn = np.random.default_rng(0).uniform(size=(20, 3))
        scattered = measure(model, rows, drawn, gradients=False)
        inner = measure_inner(model, rows, [1.0, 0.0, 0.0])
        asked = [[1.0, 0, 0], [1, 1, 0], [1, 1, 1]]
        sums = measure(model, rows, asked, gradients=False)
        pair = measure(model, rows, np.pad(drawn[:6, :2], ((0, 0), (0, 1))), gradients=False)
        merges = {(0, 1): pair.among([0, 1]), (0, 1, 2): scattered}
        slopes = np.stack([measure(model, rows, [point]).slope[0] for point in np.eye(3)])
    return Calibrated(sample, inner, scattered, sums, merges, slopes)


@pytest.mark.parametrize("predictor", PREDICTORS, ids=lambda each: each.name)
def test_every_predictor_gives_a_number_for_a_measured_domain(
    calibration: Calibrated, predictor: Predictor[DataCase]
) -> None:
    for others in ((1,), (1, 2)):
        rest = tuple(ADAPTERS[k] for k in others)
        case = DataCase(ADAPTERS[0], rest, calibration, 0, others)
        assert math.isfinite(predictor.predict(case))


def test_lambda_space_and_map_foretell_the_loss_of_a_sum(
    tiny: Any, calibration: Calibrated
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
