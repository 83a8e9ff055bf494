"""PEFT itself is asked whether the result is the sum, and the base model comes back untouched."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import superpose
from superpose.compose import BestRank
from superpose.errors import BadInput, DoesNotHold
from superpose.model.verify import verify_sum


def gpt2() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=2, n_embd=32, n_head=4, vocab_size=61, n_positions=32)
    return transformers.GPT2LMHeadModel(config).train()


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("parents")
    kinds: list[dict[str, Any]] = [
        {"r": 3, "target_modules": ["c_attn"], "use_rslora": True},
        {"r": 2, "target_modules": ["c_attn", "c_proj"], "alpha_pattern": {"mlp.c_proj": 3}},
    ]
    for number, settings in enumerate(kinds):
        config = peft.LoraConfig(fan_in_fan_out=True, task_type="CAUSAL_LM", **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PEFT about transformers
            model = peft.get_peft_model(gpt2(), config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_" in name:
                    parameter.normal_(std=0.2)
        model.save_pretrained(root / str(number))
    return [root / "0", root / "1"]


def total(parents: list[Path], weights: tuple[float, float]) -> superpose.Adapter:
    return superpose.exact_sum([superpose.load(path) for path in parents], weights)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.3, -2.0)], ids=str)
def test_an_exact_sum_holds_in_every_dtype(
    dtype: str, weights: tuple[float, float], parents: list[Path], tmp_path: Path
) -> None:
    superpose.save(total(parents, weights), tmp_path / "sum", dtype=dtype)
    found = verify_sum(gpt2(), tmp_path / "sum", list(zip(parents, weights, strict=True)))
    assert found.holds
    found.insist()
    if dtype == "float32":
        assert found.logits_error < 1e-5
        assert found.weights_error < 1e-6


def test_a_sum_with_another_weight_does_not_hold(parents: list[Path], tmp_path: Path) -> None:
    superpose.save(total(parents, (1.0, 1.0)), tmp_path / "sum")
    found = verify_sum(gpt2(), tmp_path / "sum", [(parents[0], 1.0), (parents[1], 1.01)])
    assert not found.holds
    with pytest.raises(DoesNotHold, match="is not the sum"):
        found.insist()


def test_a_result_that_lacks_one_module_does_not_hold(parents: list[Path], tmp_path: Path) -> None:
    superpose.save(total(parents, (1.0, 1.0)), tmp_path / "sum")
    path = tmp_path / "sum/adapter_model.safetensors"
    kept = {k: v for k, v in load_file(path).items() if "h.1.mlp" not in k}
    save_file(kept, path)
    assert not verify_sum(gpt2(), tmp_path / "sum", [(p, 1.0) for p in parents]).holds


def test_a_result_that_peft_scales_wrongly_does_not_hold(
    parents: list[Path], tmp_path: Path
) -> None:
    superpose.save(total(parents, (1.0, 1.0)), tmp_path / "sum")
    path = tmp_path / "sum/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_rslora": True}))
    found = verify_sum(gpt2(), tmp_path / "sum", [(p, 1.0) for p in parents])
    assert found.weights_error == pytest.approx(5**0.5 - 1, rel=1e-3)


def test_a_result_that_peft_does_not_load_does_not_hold_and_stays(
    parents: list[Path], tmp_path: Path
) -> None:
    """Where the parents loaded, what is wrong is the result and not what was given."""
    superpose.save(total(parents, (1.0, 1.0)), tmp_path / "sum")
    path = tmp_path / "sum/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 3}))
    with pytest.raises(DoesNotHold, match="does not load") as caught:
        verify_sum(gpt2(), tmp_path / "sum", [(p, 1.0) for p in parents])
    assert "What was written stays" in str(caught.value)


def test_an_approximation_reports_how_far_it_is_and_insists_on_nothing(
    parents: list[Path], tmp_path: Path
) -> None:
    smaller = BestRank(2).of(total(parents, (1.0, 1.0)))
    kept = smaller.made.energy_kept
    assert kept is not None
    superpose.save(smaller, tmp_path / "sum")
    pairs = [(path, 1.0) for path in parents]
    found = verify_sum(gpt2(), tmp_path / "sum", pairs, approximate=True)
    assert found.weights_error == pytest.approx((1 - kept) ** 0.5, rel=1e-3)
    assert found.to_json()["holds"] is None
    assert "approximation" in str(found)
    found.insist()


def test_the_base_model_comes_back_bit_for_bit(parents: list[Path], tmp_path: Path) -> None:
    superpose.save(total(parents, (1.0, 1.0)), tmp_path / "sum")
    base = gpt2()
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    modules, tied = dict(base.named_modules()), base.lm_head.weight is base.transformer.wte.weight
    flags = [p.requires_grad for p in base.parameters()]
    state = torch.random.get_rng_state()
    for _ in range(2):
        verify_sum(base, tmp_path / "sum", [(path, 1.0) for path in parents])
    after = base.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert dict(base.named_modules()) == modules
    assert (base.lm_head.weight is base.transformer.wte.weight) == tied
    assert [p.requires_grad for p in base.parameters()] == flags
    assert base.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not hasattr(base, "peft_config")


def test_an_adapter_of_another_base_model_is_bad_input_and_the_base_comes_back(
    parents: list[Path], tmp_path: Path
) -> None:
    superpose.save(total(parents, (1.0, 1.0)), tmp_path / "sum")
    config = transformers.LlamaConfig(
        num_hidden_layers=1, hidden_size=32, intermediate_size=48, num_attention_heads=4,
        vocab_size=61,
    )  # fmt: skip
    base = transformers.LlamaForCausalLM(config)
    modules = dict(base.named_modules())
    with pytest.raises(BadInput, match="peft does not load it on this base model"):
        verify_sum(base, tmp_path / "sum", [(path, 1.0) for path in parents])
    assert dict(base.named_modules()) == modules


def test_a_base_of_other_shapes_is_bad_input_and_comes_back(
    parents: list[Path], tmp_path: Path
) -> None:
    superpose.save(total(parents, (1.0, 1.0)), tmp_path / "sum")
    config = transformers.GPT2Config(n_layer=2, n_embd=40, n_head=4, vocab_size=61)
    base = transformers.GPT2LMHeadModel(config)
    modules = dict(base.named_modules())
    with pytest.raises(BadInput, match="does not load"):
        verify_sum(base, tmp_path / "sum", [(path, 1.0) for path in parents])
    assert dict(base.named_modules()) == modules
