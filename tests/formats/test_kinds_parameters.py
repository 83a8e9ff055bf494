"""LoRA on parameters (`target_parameters`), experts in every layout; the oracle is `kinds`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from hypothesis import given, strategies as st
from safetensors.numpy import save_file
from tests.formats.kinds import (
    CLOSE,
    SMALL,
    distance,
    experts,
    gpt2,
    llama,
    make,
    quietly,
    seeded,
)

import superpose
from superpose.adapter import Adapter, Delta, Place
from superpose.errors import Refused
from superpose.formats.peft.experts import by_expert, by_rank

BOTH = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]


def jetmoe() -> Any:
    """Its stacks of experts are called `weight`."""
    config = transformers.JetMoeConfig(
        num_hidden_layers=1, hidden_size=32, num_key_value_heads=2, kv_channels=8,
        intermediate_size=24, num_local_experts=4, num_experts_per_tok=2, vocab_size=61,
    )  # fmt: skip
    return seeded(transformers.JetMoeForCausalLM, config)


def gpt_oss() -> Any:
    """Its stacks lie the other way round."""
    config = transformers.GptOssConfig(
        **{**SMALL, "intermediate_size": 24}, num_local_experts=4, num_experts_per_tok=2, head_dim=8
    )
    model = seeded(transformers.GptOssForCausalLM, config)
    model.set_experts_implementation("eager")
    return model


def of(*parameters: str, **settings: Any) -> dict[str, Any]:
    return {"target_parameters": list(parameters), "target_modules": [], **settings}


Case = tuple[Callable[[], Any], Mapping[str, Any], Mapping[str, Any]]

PARAMETERS: dict[str, Case] = {
    "stacks called weight": (
        jetmoe, of("input_linear.weight", "output_linear.weight"), of("mlp.input_linear.weight")
    ),
    "stacks the other way round": (gpt_oss, of("gate_up_proj", "down_proj"), of(*BOTH)),
    "stacks with their biases stored": (gpt_oss, of(*BOTH, bias="all"), of(*BOTH, bias="all")),
    "stacks of some layers": (
        experts,
        of("0.mlp.experts.gate_up_proj", "mlp.experts.down_proj"),
        of(*BOTH, rank_pattern={"1.mlp.experts.down_proj": 2}),
    ),
    "stacks, a router and a layer": (
        experts, of("mlp.gate.weight", *BOTH), {"target_modules": ["gate", "o_proj"]}
    ),
    "an embedding": (llama, of("embed_tokens.weight"), {"target_modules": ["q_proj"]}),
    "a linear layer, by name too": (
        llama,
        of("q_proj.weight", "v_proj.weight", rank_pattern={"q_proj.weight": 2}),
        {"target_modules": ["q_proj"]},
    ),
    "Conv1D, square and not": (
        gpt2, of("c_attn.weight", "mlp.c_proj.weight", "attn.c_proj.weight"), of("c_fc.weight")
    ),
}  # fmt: skip


@quietly
@pytest.mark.parametrize("kind", PARAMETERS)
def test_a_sum_of_parameters_is_the_sum_in_the_model(kind: str, tmp_path: Path) -> None:
    base, *settings = PARAMETERS[kind]
    parents = [(tmp_path / "0", 0.3), (tmp_path / "1", 0.7)]
    for number, (path, _) in enumerate(parents):
        make(path, base(), settings[number], number)
    total = superpose.exact_sum([superpose.load(p) for p, _ in parents], [0.3, 0.7])
    superpose.save(total, tmp_path / "sum")
    assert distance(base, parents, tmp_path / "sum") < CLOSE


def test_a_square_conv1d_is_not_added_to_its_own_transpose() -> None:
    B, A = np.ones((4, 1)), np.ones((1, 4))
    key = "transformer.h.0.attn.c_proj"
    layer = Adapter({key: Delta.of(B, A)})
    parameter = Adapter({key: Delta.of(B, A, place=Place(key, kind="experts"))})
    with pytest.raises(Refused, match="other way round"):
        layer + parameter


def mixtral() -> Any:
    config = transformers.MixtralConfig(**SMALL, num_local_experts=4, num_experts_per_tok=2)
    model = seeded(transformers.MixtralForCausalLM, config)
    model.set_experts_implementation("eager")
    return model


def write_old_experts(path: Path, seed: int, rank: int) -> None:
    """An adapter of transformers 4's days, when each expert was a module of its own."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(2):
        for expert in range(4):
            for name, (high, wide) in {"w1": (48, 32), "w2": (32, 48), "w3": (48, 32)}.items():
                key = f"base_model.model.model.layers.{layer}.block_sparse_moe.experts"
                for side, shape in {"A": (rank, wide), "B": (high, rank)}.items():
                    factor = rng.normal(size=shape, scale=0.1).astype(np.float32)
                    tensors[f"{key}.{expert}.{name}.lora_{side}.weight"] = factor
    path.mkdir()
    save_file(tensors, path / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA", "r": rank, "lora_alpha": 3 * rank, "target_modules": ["w1", "w2", "w3"]
    }  # fmt: skip
    (path / "adapter_config.json").write_text(json.dumps(config))


@quietly
def test_experts_of_transformers_4_add_module_by_module(tmp_path: Path) -> None:
    parents = [(tmp_path / "x", 1.0), (tmp_path / "y", -0.7)]
    write_old_experts(parents[0][0], 0, 2)
    write_old_experts(parents[1][0], 1, 3)
    total = superpose.exact_sum([superpose.load(p) for p, _ in parents], [1.0, -0.7])
    assert len(total) == 24
    superpose.save(total, tmp_path / "sum")
    assert distance(mixtral, parents, tmp_path / "sum") < CLOSE


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 700))
def test_a_stack_put_in_order_by_expert_is_the_files_own_again(
    experts: int, rank: int, rows: int
) -> None:
    B = np.arange(rows * rank * experts, dtype=np.float32).reshape(rows, rank * experts)
    found = by_expert(B, experts)
    assert all(np.array_equal(found[e], B[:, e::experts]) for e in range(experts))
    assert np.array_equal(by_rank(list(found)), B)
