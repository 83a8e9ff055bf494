"""PEFT on tiny random models: adapters in every spelling, and their deltas as PEFT merges them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import superpose

WEIGHTS = "adapter_model.safetensors"


def gpt2() -> Any:
    """GPT-2: Conv1D layers, whose weights are (in_features, out_features)."""
    config = transformers.GPT2Config(
        n_layer=2, n_embd=32, n_head=4, vocab_size=61, n_positions=32, attn_pdrop=0.0
    )
    return _seeded(transformers.GPT2LMHeadModel, config)


def llama() -> Any:
    """Llama: Linear layers, with fewer heads for keys and values than for queries."""
    config = transformers.LlamaConfig(
        num_hidden_layers=2,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=61,
    )
    return _seeded(transformers.LlamaForCausalLM, config)


MODELS: dict[str, Callable[[], Any]] = {"gpt2": gpt2, "llama": llama}

# One delta in many spellings: what LoraConfig is given beside the defaults, and the file's dtype.
SPELLINGS: dict[str, tuple[str, dict[str, Any], torch.dtype]] = {
    "plain": (
        "llama",
        {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]},
        torch.float32,
    ),
    "rslora": (
        "llama",
        {"r": 4, "lora_alpha": 6, "use_rslora": True, "target_modules": ["q_proj", "o_proj"]},
        torch.float32,
    ),
    "rank_pattern": (
        "llama",
        {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ["q_proj", "k_proj", "down_proj"],
            "rank_pattern": {"k_proj": 2, r"layers\.1\.mlp\.down_proj": 7},
        },
        torch.float32,
    ),
    "alpha_pattern": (
        "llama",
        {
            "r": 4,
            "lora_alpha": 8,
            "use_rslora": True,
            "target_modules": r".*\.(q_proj|up_proj)",
            "alpha_pattern": {r"layers\.0\..*_proj": 3.5, "^model.layers.1.mlp.up_proj": 1},
            "rank_pattern": {"up_proj": 3},
        },
        torch.float32,
    ),
    "some_layers": (
        "llama",
        {
            "r": 3,
            "lora_alpha": 3,
            "target_modules": ["v_proj", "gate_proj"],
            "layers_to_transform": [1],
            "exclude_modules": ["model.layers.1.mlp.gate_proj"],
        },
        torch.float32,
    ),
    "all_linear": ("llama", {"r": 2, "target_modules": "all-linear"}, torch.float32),
    "float16": ("llama", {"r": 5, "target_modules": ["q_proj", "v_proj"]}, torch.float16),
    "bfloat16": ("llama", {"r": 4, "target_modules": ["q_proj", "v_proj"]}, torch.bfloat16),
    "conv1d": (
        "gpt2",
        {"r": 4, "lora_alpha": 16, "target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True},
        torch.float32,
    ),
    "conv1d_flag_wrong": ("gpt2", {"r": 3, "target_modules": ["c_fc"]}, torch.float32),
    "conv1d_patterns": (
        "gpt2",
        {
            "r": 4,
            "lora_alpha": 2,
            "target_modules": ["c_attn", "c_fc"],
            "fan_in_fan_out": True,
            "rank_pattern": {"c_attn": 6},
            "alpha_pattern": {"h.1.mlp.c_fc": 12},
        },
        torch.float32,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Spelled:
    """One adapter on disk. deltas: as PEFT merges it, float64 (out_features, in_features)."""

    model: str
    path: Path
    deltas: Mapping[str, np.ndarray]


@pytest.fixture(scope="session")
def spelled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Spelled]:
    """Give the adapter of a spelling, made by PEFT once a session."""
    made: dict[tuple[str, int], Spelled] = {}
    root = tmp_path_factory.mktemp("spelled")

    def give(spelling: str, seed: int = 0) -> Spelled:
        key = spelling, seed
        if key not in made:
            model, settings, dtype = SPELLINGS[spelling]
            path = root / f"{spelling}{seed}"
            make_adapter(path, MODELS[model](), settings, dtype, seed)
            made[key] = Spelled(model, path, merged_deltas(MODELS[model](), path))
        return made[key]

    return give


def make_adapter(
    path: Path, base: Any, settings: Mapping[str, Any], dtype: torch.dtype, seed: int
) -> None:
    """Save an adapter with random factors through PEFT."""
    with quiet():
        model = peft.get_peft_model(base, peft.LoraConfig(task_type="CAUSAL_LM", **settings))
        generator = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_" in name:
                    parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
        model.save_pretrained(path)
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(path / WEIGHTS).items()}
    save_file(tensors, path / WEIGHTS, metadata={"format": "pt"})


def merged_deltas(base: Any, path: Path) -> dict[str, np.ndarray]:
    """Give what PEFT changes in the base's weights, in float64, for every weight it changes."""
    base = base.double()
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    with quiet():
        merged = peft.PeftModel.from_pretrained(base, path).merge_and_unload()
    deltas = {}
    for name, tensor in merged.state_dict().items():
        change = tensor - before[name]
        if change.any():
            module = name.removesuffix(".weight")
            conv = type(merged.get_submodule(module)).__name__ == "Conv1D"
            deltas[module] = (change.T if conv else change).numpy()
    return deltas


def peft_logits(base: Any, path: Path | None) -> np.ndarray:
    """Give the logits of a model with the adapter that PEFT loads; None is the bare base."""
    tokens = torch.arange(24).reshape(2, 12) % 61
    with quiet(), torch.no_grad():
        model = base if path is None else peft.PeftModel.from_pretrained(base, path)
        logits = model.eval()(input_ids=tokens).logits
    return np.asarray(logits.double())


def dense64(delta: superpose.Delta) -> np.ndarray:
    """Form a delta in float64 with nothing of superpose's own algebra."""
    return sum(c * B.astype(np.float64) @ A.astype(np.float64) for c, B, A in delta.terms)


class quiet(  # noqa: N801  used like a function
    warnings.catch_warnings
):
    """Let PEFT say what it wants about flags it corrects."""

    def __init__(self) -> None:
        super().__init__(action="ignore")


def _seeded(kind: Any, config: Any) -> Any:
    torch.manual_seed(0)
    return kind(config).eval()


@pytest.fixture(scope="session")
def oracle() -> Any:
    """Give this module's helpers to tests, which cannot import a conftest."""
    import sys

    return sys.modules[__name__]
