"""Random adapters of real shapes, written as PEFT folders by hand: no peft, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 (teaches NumPy the name bfloat16)
import numpy as np
from safetensors.numpy import save_file

__all__ = ["GPT2", "SEVEN_B", "Shapes", "write_adapter", "write_adapters"]

Shapes = Mapping[str, tuple[int, int]]
"""Target module, with {layer} in its name -> (out_features, in_features)."""

GPT2: Shapes = {
    "transformer.h.{layer}.attn.c_attn": (2304, 768),
    "transformer.h.{layer}.attn.c_proj": (768, 768),
    "transformer.h.{layer}.mlp.c_proj": (768, 3072),
}
"""GPT-2 Small, the paper's targets: 36 modules in 12 layers."""

SEVEN_B: Shapes = {
    **{f"model.layers.{{layer}}.self_attn.{name}_proj": (4096, 4096) for name in "qkvo"},
    **{f"model.layers.{{layer}}.mlp.{name}_proj": (11008, 4096) for name in ("gate", "up")},
    "model.layers.{layer}.mlp.down_proj": (4096, 11008),
}
"""Llama's shape at 7B parameters: 224 modules in 32 layers."""

_SCALING = 16
"""The paper's: alpha 64 at rank 4."""


def write_adapters(folder: Path, names: str, shapes: Shapes, **options: Any) -> list[Path]:
    """One adapter for each letter of `names`; options as `write_adapter` takes them."""
    return [
        write_adapter(folder / name, shapes, seed=seed, **options)
        for seed, name in enumerate(names)
    ]


def write_adapter(
    path: Path,
    shapes: Shapes,
    *,
    layers: int,
    rank: int,
    seed: int,
    dtype: str = "float32",
    base: str = "base",
) -> Path:
    """Write a PEFT folder whose factors are normal, so that each delta has entries of size 0.01.

    path: of the folder, made here. dtype: of the tensors. base: the base model's name.
    """
    rng = np.random.default_rng(seed)
    tensors = {}
    for module, (out_features, in_features) in _modules(shapes, layers):
        prefix = f"base_model.model.{module}"
        A = rng.standard_normal((rank, in_features), dtype=np.float32)
        B = rng.standard_normal((out_features, rank), dtype=np.float32)
        tensors[f"{prefix}.lora_A.weight"] = (A * 0.1).astype(dtype)
        tensors[f"{prefix}.lora_B.weight"] = (B * (0.1 / rank**0.5 / _SCALING)).astype(dtype)
    path.mkdir(parents=True)
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": _SCALING * rank,
        "target_modules": sorted({name.rpartition(".")[2] for name in shapes}),
        "fan_in_fan_out": shapes is GPT2,
        "bias": "none",
        "lora_dropout": 0.0,
        "inference_mode": True,
    }
    (path / "adapter_config.json").write_text(json.dumps(config, indent=1))
    return path


def _modules(shapes: Shapes, layers: int) -> Iterator[tuple[str, tuple[int, int]]]:
    for layer in range(layers):
        for name, shape in shapes.items():
            yield name.format(layer=layer), shape
