"""The superposed model against PEFT, against weights written out, and against itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, DifferentBase, Refused
from superpose.formats import load
from superpose.model import SuperposedModel

IDS = torch.arange(24).reshape(2, 12) % 61


def _gpt2() -> Any:
    config = transformers.GPT2Config(
        n_layer=2, n_embd=32, n_head=4, vocab_size=61, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config)


def _llama() -> Any:
    config = transformers.LlamaConfig(
        num_hidden_layers=2,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=61,
    )
    return transformers.LlamaForCausalLM(config)


def _opt() -> Any:
    """Joins rows and tokens into one axis before its fc1."""
    config = transformers.OPTConfig(
        num_hidden_layers=2,
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=48,
        num_attention_heads=4,
        vocab_size=61,
        max_position_embeddings=32,
    )
    return transformers.OPTForCausalLM(config)


@pytest.fixture(params=["gpt2", "llama", "opt"])
def trained(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, list[Path]]:
    """A tiny model and two PEFT adapters of it, of different ranks and target modules."""
    torch.manual_seed(1)
    make = {"gpt2": _gpt2, "llama": _llama, "opt": _opt}[request.param]
    model = make().eval()
    targets = {
        "gpt2": (["c_attn"], ["c_attn", "c_proj"]),
        "llama": (["q_proj"], ["down_proj", "q_proj"]),
        "opt": (["q_proj"], ["fc1", "q_proj"]),
    }
    paths = []
    for k, modules in enumerate(targets[request.param]):
        config = peft.LoraConfig(
            r=2 + k, lora_alpha=6, target_modules=modules, init_lora_weights=False,
            fan_in_fan_out=request.param == "gpt2", task_type="CAUSAL_LM",
        )  # fmt: skip
        adapted = peft.get_peft_model(model, config)
        adapted.save_pretrained(tmp_path / f"a{k}")
        model = adapted.unload()
        paths.append(tmp_path / f"a{k}")
    return model, paths


def _logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


def _relative(found: torch.Tensor, wanted: torch.Tensor, base: torch.Tensor) -> float:
    return float((found - wanted).norm() / (wanted - base).norm())


def test_each_single_adapter_gives_the_logits_that_peft_gives(trained: Any) -> None:
    model, paths = trained
    base = _logits(model)
    found = []
    with SuperposedModel(model, [load(path) for path in paths]) as superposed:
        for k in range(2):
            with superposed.at([float(k == 0), float(k == 1)]) as weighted:
                found.append(_logits(weighted))
    for path, logits in zip(paths, found, strict=True):
        adapted = peft.PeftModel.from_pretrained(model, path)
        wanted = _logits(adapted)
        adapted.unload()
        assert _relative(logits, wanted, base) < 1e-5


def test_a_weighted_sum_gives_the_logits_of_weights_written_out(trained: Any) -> None:
    model, paths = trained
    adapters = [load(path) for path in paths]
    weights = [0.5, -1.25]
    base = _logits(model)
    with SuperposedModel(model, adapters) as superposed, superposed.at(weights) as weighted:
        found = _logits(weighted)
    with torch.no_grad():
        for weight, adapter in zip(weights, adapters, strict=True):
            for name, delta in adapter.items():
                module = model.get_submodule(name)
                term = delta.terms[0]
                dense = torch.tensor(weight * term.coefficient * (term.B @ term.A))
                conv1d = type(module).__name__ == "Conv1D"
                module.weight += dense.T if conv1d else dense
    assert _relative(found, _logits(model), base) < 1e-5


def test_the_base_comes_back_to_the_bit(trained: Any) -> None:
    model, paths = trained
    before = _logits(model)
    superposed = SuperposedModel(model, [load(path) for path in paths])
    with superposed.at([1.0, 1.0]):
        assert not torch.equal(_logits(model), before)
    assert torch.equal(_logits(model), before)
    superposed.remove()
    assert torch.equal(_logits(model), before)
    assert not any(module._forward_hooks for module in model.modules())


def test_each_row_of_a_batch_can_have_its_own_weights(trained: Any) -> None:
    model, paths = trained
    rows = torch.tensor([[1.0, 0.0], [-0.5, 2.0]])
    with SuperposedModel(model, [load(path) for path in paths]) as superposed:
        with superposed.at(rows) as weighted:
            together = _logits(weighted)
        for index, row in enumerate(rows):
            with superposed.at(row) as weighted:
                alone = _logits(weighted)[index]
            assert torch.allclose(together[index], alone, atol=1e-5)


def test_the_gradient_in_the_task_weights_is_that_of_differences(trained: Any) -> None:
    model, paths = trained
    with SuperposedModel(model, [load(path) for path in paths]) as superposed:

        def loss(weights: torch.Tensor) -> torch.Tensor:
            with superposed.at(weights) as weighted:
                return weighted(IDS, labels=IDS).loss

        point = torch.tensor([0.3, 0.8], requires_grad=True)
        loss(point).backward()
        step = 0.02  # the models compute in float32: a smaller step would measure rounding
        for k, direction in enumerate(step * torch.eye(2)):
            with torch.no_grad():
                slope = (loss(point + direction) - loss(point - direction)) / (2 * step)
            assert float(point.grad[k]) == pytest.approx(float(slope), rel=0.03, abs=1e-3)


def test_a_wrong_number_of_weights_is_refused(trained: Any) -> None:
    model, paths = trained
    with (
        SuperposedModel(model, [load(path) for path in paths]) as superposed,
        pytest.raises(BadInput, match="2 adapters take as many task weights"),
        superposed.at([1.0]),
    ):
        pass


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        ("model.layers.7.self_attn.q_proj", (32, 32), "no module"),
        ("model.layers.0.self_attn.k_proj", (32, 32), r"is \(16, 32\) in the base"),
    ],
)
def test_an_adapter_of_another_model_is_refused_by_module(
    module: str, shape: tuple[int, int], message: str
) -> None:
    delta = Delta.of(np.ones((shape[0], 2), np.float32), np.ones((2, shape[1]), np.float32))
    with pytest.raises(DifferentBase, match=message):
        SuperposedModel(_llama(), [Adapter({module: delta}, name="other")])


def test_a_module_that_cannot_carry_a_delta_is_refused_by_its_kind() -> None:
    delta = Delta.of(np.ones((61, 2), np.float32), np.ones((2, 32), np.float32))
    with pytest.raises(BadInput, match="is a Embedding"):
        SuperposedModel(_llama(), [Adapter({"model.embed_tokens": delta}, name="words")])


@pytest.mark.filterwarnings("ignore")
def test_what_is_more_than_linear_deltas_is_refused_by_name(tmp_path: Path) -> None:
    for name, extra in {
        "embed_tokens": {"target_modules": ["embed_tokens"]},
        "lm_head": {"modules_to_save": ["lm_head"], "target_modules": ["q_proj"]},
    }.items():
        peft.get_peft_model(_llama(), peft.LoraConfig(**extra)).save_pretrained(tmp_path / name)
        with pytest.raises(Refused, match=name):
            SuperposedModel(_llama(), [load(tmp_path / name)])
