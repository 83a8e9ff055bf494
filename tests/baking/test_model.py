"""A baked model is what PEFT makes of base and adapters, tensor by tensor and in its logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from tests.baking.conftest import (
    Bench,
    gpt2,
    gpt_oss,
    llama,
    load,
    logits,
    mixtral,
    qwen3_moe,
    tied,
    told_by_peft,
)
from tests.files.test_checkpoint import bert, llava, qwen2_vl, t5

import superpose as sp
from superpose.baking import bake
from superpose.errors import Refused
from superpose.files.checkpoint import Checkpoint

EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]

CASES: dict[str, tuple[Callable[[], Any], list[dict[str, Any]]]] = {
    "llama": (llama, [{"target_modules": "all-linear"}, {"target_modules": ["q_proj", "o_proj"]}]),
    "rslora and patterns": (
        llama,
        [
            {"target_modules": ["q_proj", "up_proj"], "use_rslora": True},
            {"target_modules": ["q_proj"], "rank_pattern": {"q_proj": 2}, "alpha_pattern": {}},
        ],
    ),
    "Conv1D, a square one too": (
        gpt2,
        [{"target_modules": ["c_attn", "c_proj", "c_fc"]}, {"target_modules": ["c_proj"]}],
    ),
    "biases of B": (gpt2, [{"target_modules": ["c_attn", "c_proj"], "lora_bias": True}] * 2),
    "experts stored apart": (
        mixtral,
        [{"target_modules": ["q_proj"], "target_parameters": EXPERTS}] * 2,
    ),
    "experts and a router": (
        qwen3_moe,
        [{"target_modules": ["mlp.gate", "k_proj"], "target_parameters": EXPERTS}] * 2,
    ),
    "a transposed stack of experts": (
        gpt_oss,
        [{"target_modules": ["v_proj"], "target_parameters": EXPERTS}] * 2,
    ),
    "one part of the experts": (
        mixtral,
        [{"target_modules": [], "target_parameters": EXPERTS[1:]}] * 2,
    ),
    "DoRA": (llama, [{"target_modules": ["q_proj", "up_proj"], "use_dora": True}] * 2),
    "DoRA on Conv1D, and LoRA": (
        gpt2,
        [
            {"target_modules": ["c_attn", "c_proj"], "use_dora": True},
            {"target_modules": ["c_proj"]},
        ],
    ),
    "embedding and output layer": (llama, [{"target_modules": ["embed_tokens", "lm_head"]}] * 2),
}
WEIGHTS = (1.0, -0.5)


@pytest.mark.parametrize("case", CASES)
def test_base_plus_sum_is_what_peft_merges(
    case: str, bench: Callable[[Callable[[], Any]], Bench]
) -> None:
    model, settings = CASES[case]
    made = bench(model)
    adapters = [made.adapter(f"a{i}", seed=i, **each) for i, each in enumerate(settings)]
    right = made.summed(adapters, WEIGHTS)
    total = sp.exact_sum([sp.load(path, dora=True) for path in adapters], WEIGHTS)
    bake(made.base, total, made.folder / "out")
    baked = load(made.folder / "out")
    state = baked.state_dict()
    assert state.keys() == right.keys()
    for name, value in right.items():
        assert torch.allclose(state[name].double(), value, rtol=1e-6, atol=1e-6), name
    ours = logits(baked)
    effect = (ours - logits(made.model())).norm()
    baked.load_state_dict({name: value.float() for name, value in right.items()})
    assert (ours - logits(baked)).norm() <= 1e-5 * effect


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_precision_base_is_rounded_once_from_float32(
    dtype: torch.dtype, bench: Callable[[Callable[[], Any]], Bench]
) -> None:
    """PEFT rounds each adapter's delta and each sum; the right values are the nearest ones."""
    made = bench(lambda: llama().to(dtype))
    adapters = [made.adapter(f"a{i}", seed=i, target_modules=["q_proj"]) for i in range(2)]
    right = made.summed(adapters, WEIGHTS)
    total = sp.exact_sum([sp.load(path) for path in adapters], WEIGHTS)
    bake(made.base, total, made.folder / "out")
    state = load(made.folder / "out").state_dict()
    off = 0
    for name, value in right.items():
        assert state[name].dtype == dtype
        off += int((state[name] != value.to(dtype)).sum())
    # Values that lie, to float32's rounding, between two neighbours of the dtype.
    assert off <= 2


def test_a_whole_model_is_converted_where_a_dtype_is_asked_for(
    bench: Callable[[Callable[[], Any]], Bench],
) -> None:
    made = bench(llama)
    adapter = made.adapter("a", target_modules=["q_proj"])
    baked = bake(made.base, sp.load(adapter), made.folder / "out", dtype="bfloat16")
    model = load(made.folder / "out")
    right = made.summed([adapter], [1.0])
    assert model.config.dtype == torch.bfloat16
    assert {value.dtype for value in model.state_dict().values()} == {torch.bfloat16}
    for name, value in model.state_dict().items():
        assert torch.allclose(value.float(), right[name].float(), rtol=2**-8, atol=1e-9), name
    assert baked.bytes == sum(2 * value.numel() for value in model.state_dict().values())


def test_an_adapter_trained_expert_by_expert_lands_in_the_same_tensors(
    bench: Callable[[Callable[[], Any]], Bench],
) -> None:
    """Each expert was a module of its own in transformers 4; the files are still like that."""
    made = bench(mixtral)
    rng = np.random.default_rng(0)
    stem = "model.layers.0.block_sparse_moe.experts.1"
    deltas = {}
    for part, (rows, columns) in {"w1": (24, 16), "w2": (16, 24), "w3": (24, 16)}.items():
        factors = rng.standard_normal((rows, 2)), rng.standard_normal((2, columns))
        deltas[f"{stem}.{part}"] = sp.Delta.of(*factors, 0.1)
    bake(made.base, sp.Adapter(deltas), made.folder / "out")
    before, after = (Checkpoint.open(made.folder / name) for name in ("base", "out"))
    for name in before.names:
        change = after.read(name).astype(float) - before.read(name).astype(float)
        delta = deltas.get(name.removesuffix(".weight"))
        term = None if delta is None else delta.terms[0]
        right = 0.0 if term is None else term.coefficient * term.B @ term.A
        assert np.allclose(change, right, atol=1e-6), name


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["embed_tokens", "q_proj"]},
        {"target_modules": ["lm_head", "q_proj"]},
        {"target_modules": ["embed_tokens", "lm_head"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        {
            "target_modules": ["q_proj"],
            "trainable_token_indices": {"embed_tokens": [3, 5], "lm_head": [3, 7]},
        },
    ],
    ids=lambda settings: "-".join(settings) + str(len(str(settings))),
)
def test_one_end_of_tied_weights_changes_alone_and_they_come_apart(
    settings: dict[str, Any], bench: Callable[[Callable[[], Any]], Bench]
) -> None:
    made = bench(tied)
    adapter = made.adapter("a", **settings)
    baked = bake(made.base, sp.load(adapter), made.folder / "out")
    assert baked.untied
    assert baked.new == ("lm_head.weight",)
    model = load(made.folder / "out")
    assert model.config.tie_word_embeddings is False
    agree(logits(model), made, adapter)


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["embed_tokens", "q_proj"], "ensure_weight_tying": True},
        {
            "target_modules": ["q_proj"],
            "modules_to_save": ["embed_tokens"],
            "ensure_weight_tying": True,
        },
        {"target_modules": ["q_proj"], "trainable_token_indices": [3, 5]},
        {
            "target_modules": ["q_proj"],
            "trainable_token_indices": {"embed_tokens": [3, 5], "lm_head": [3, 5]},
        },
    ],
    ids=lambda settings: "-".join(settings) + str(len(str(settings))),
)
def test_what_is_meant_for_both_ends_is_added_once_and_they_stay_tied(
    settings: dict[str, Any], bench: Callable[[Callable[[], Any]], Bench]
) -> None:
    made = bench(tied)
    adapter = made.adapter("a", **settings)
    baked = bake(made.base, sp.load(adapter), made.folder / "out")
    assert not baked.untied
    assert baked.new == ()
    agree(logits(load(made.folder / "out")), made, adapter)


def test_a_tied_gpt2_whose_files_lack_the_prefix_gets_an_output_layer_of_its_own(
    bench: Callable[[Callable[[], Any]], Bench],
) -> None:
    made = bench(gpt2)
    adapter = made.adapter("a", target_modules=["wte", "c_attn"])
    right = made.logits_with(adapter)
    made.model().transformer.save_pretrained(made.base)  # as the published GPT-2: h.0..., wte
    config = made.base / "config.json"
    config.write_text(config.read_text().replace("GPT2Model", "GPT2LMHeadModel"))
    assert bake(made.base, sp.load(adapter), made.folder / "out").new == ("lm_head.weight",)
    assert torch.allclose(logits(load(made.folder / "out")), right, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "auto", "target"),
    [
        (t5, "AutoModelForSeq2SeqLM", "shared"),
        (bert, "AutoModelForMaskedLM", "word_embeddings"),
    ],
)
def test_weights_that_more_than_two_layers_share_are_not_untied(
    model: Callable[[], Any], auto: str, target: str, tmp_path: Path
) -> None:
    model().save_pretrained(tmp_path / "base")
    base = getattr(transformers, auto).from_pretrained(tmp_path / "base")
    with told_by_peft():
        get_peft_model(base, LoraConfig(target_modules=[target])).save_pretrained(tmp_path / "a")
    with pytest.raises(Refused, match="which several layers of the base model share"):
        bake(tmp_path / "base", sp.load(tmp_path / "a"), tmp_path / "out")


@pytest.mark.parametrize(("model", "targets"), [(llava, ["q_proj"]), (qwen2_vl, ["q_proj", "qkv"])])
def test_a_models_language_part_is_found_where_the_files_name_it_otherwise(
    model: Callable[[], Any], targets: list[str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model().save_pretrained(tmp_path / "base")
    tower = transformers.AutoModelForImageTextToText
    with told_by_peft(), torch.no_grad():
        tuned = get_peft_model(
            tower.from_pretrained(tmp_path / "base"), LoraConfig(target_modules=targets)
        )
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.normal_(0.0, 0.3)
        tuned.save_pretrained(tmp_path / "a")
        right = logits(tuned.eval())
    bake(tmp_path / "base", sp.load(tmp_path / "a"), tmp_path / "out")
    baked, told = tower.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(told.values()), told
    effect = (right - logits(tower.from_pretrained(tmp_path / "base").eval())).norm()
    assert effect > 1e-3
    assert (logits(baked.eval()) - right).norm() <= 1e-5 * effect


def test_token_rows_of_an_untied_model_change_the_embedding_alone(
    bench: Callable[[Callable[[], Any]], Bench],
) -> None:
    made = bench(llama)
    adapter = made.adapter("a", target_modules=["q_proj"], trainable_token_indices=[3, 5])
    assert bake(made.base, sp.load(adapter), made.folder / "out").changed == 3
    agree(logits(load(made.folder / "out")), made, adapter)


def test_biases_stored_as_they_are_take_the_place_of_the_bases(
    bench: Callable[[Callable[[], Any]], Bench],
) -> None:
    made = bench(lambda: llama(attention_bias=True, mlp_bias=True))
    adapter = made.adapter("a", target_modules=["q_proj"], bias="all")
    bake(made.base, sp.load(adapter), made.folder / "out")
    agree(logits(load(made.folder / "out")), made, adapter)
    halved = 0.5 * sp.load(adapter)
    bake(made.base, halved, made.folder / "half")
    before, after = (Checkpoint.open(made.folder / name) for name in ("base", "half"))
    name = "model.layers.0.mlp.up_proj.bias"
    stored = halved.replacements[name].parts[0].value.at(None)
    assert np.allclose(after.read(name), 0.5 * before.read(name) + 0.5 * stored, atol=1e-7)


def agree(ours: torch.Tensor, made: Bench, adapter: Any) -> None:
    """Hold our logits against PEFT's, relative to what the adapter does to them."""
    right = made.logits_with(adapter)
    effect = (right - logits(made.model())).norm()
    assert effect > 1e-3
    assert (ours - right).norm() <= 1e-5 * effect
