"""Adapters for a library, written by hand as PEFT folders, and dense float64 truths of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 (teaches NumPy the name bfloat16)
import numpy as np
from safetensors.numpy import save_file

Factors = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Module -> B (out, r), A (r, in)."""

SHAPES = {
    **{f"model.layers.{layer}.self_attn.q_proj": (24, 20) for layer in range(3)},
    **{f"model.layers.{layer}.mlp.down_proj": (20, 28) for layer in range(3)},
}
"""Of a tiny model's modules: (out, in)."""

BASE = "org/tiny-llama"


def random_factors(seed: int, rank: int = 3, modules: int = 6, size: float = 1.0) -> Factors:
    """Factors of their own; another seed has nothing to do with them."""
    rng = np.random.default_rng([seed, 77])
    return {
        name: (
            size * rng.standard_normal((out, rank)).astype(np.float32),
            rng.standard_normal((rank, inner)).astype(np.float32),
        )
        for name, (out, inner) in list(SHAPES.items())[:modules]
    }


def moved(factors: Factors, seed: int, by: float) -> Factors:
    """The same a little further in training: both factors moved by a share of their size."""
    rng = np.random.default_rng([seed, 78])

    def step(x: np.ndarray) -> np.ndarray:
        return (x + by * x.std() * rng.standard_normal(x.shape)).astype(np.float32)

    return {name: (step(B), step(A)) for name, (B, A) in factors.items()}


def split_anew(factors: Factors, seed: int) -> Factors:
    """The same deltas in other factors: B R and R^-1 A."""
    rng = np.random.default_rng([seed, 79])
    found = {}
    for name, (B, A) in factors.items():
        R = rng.standard_normal((len(A), len(A))) + 3.0 * np.eye(len(A))
        found[name] = (B.astype(float) @ R, np.linalg.solve(R, A.astype(float)))
    return found


def write_factors(
    folder: Path,
    factors: Factors,
    *,
    dtype: str = "float32",
    alpha: float | None = None,
    base: str | None = BASE,
    prefix: str = "base_model.model.",
    **settings: Any,
) -> Path:
    """Write a PEFT folder of these factors, with scaling 1 unless alpha is given."""
    folder.mkdir(parents=True, exist_ok=True)
    rank = max(len(A) for _, A in factors.values())
    tensors = {}
    for name, (B, A) in factors.items():
        tensors[f"{prefix}{name}.lora_A.weight"] = np.ascontiguousarray(A).astype(dtype)
        tensors[f"{prefix}{name}.lora_B.weight"] = np.ascontiguousarray(B).astype(dtype)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": rank if alpha is None else alpha,
        "target_modules": sorted({name.rpartition(".")[2] for name in factors}),
        **settings,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def dense(factors: Factors) -> np.ndarray:
    """All deltas as one vector, float64; zeros where a module is missing."""
    parts = []
    for name, (out, inner) in SHAPES.items():
        if name in factors:
            B, A = (x.astype(np.float64) for x in factors[name])
            parts.append((B @ A).ravel())
        else:
            parts.append(np.zeros(out * inner))
    return np.concatenate(parts)
