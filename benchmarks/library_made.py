"""A made library of GPT-2 shape, with checkpoints and copies, and anonymous sums of it."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes  # noqa: F401 (teaches NumPy the name bfloat16)
import numpy as np
from safetensors.numpy import save_file

from superpose.adapter import Adapter, Delta
from superpose.library.opened import Library

__all__ = ["merged", "write_library"]

_SHAPES = {f"transformer.h.{layer}.attn.c_attn": (2304, 768) for layer in range(12)}

Factors = dict[str, tuple[np.ndarray, np.ndarray]]


def write_library(top: Path, count: int, seed: int = 0) -> list[str]:
    """Write `count` adapters below a folder, and give their names."""
    rng = np.random.default_rng(seed)
    names: list[str] = []
    while len(names) < count:
        run, factors = len(names), _factors(rng, int(rng.choice([4, 8, 16])))
        for step in range(4 if run % 3 == 0 else 1):
            if len(names) < count:
                names.append(f"run-{run}-{step}")
                _write(top / names[-1], factors)
                factors = {name: _moved(rng, *both) for name, both in factors.items()}
    return names


def merged(library: Library, query: int, kind: str) -> tuple[Adapter, dict[str, float]]:
    """Give an anonymous sum of 2 to 5, in bfloat16, and the weight of each parent by its name.

    kind: "bfloat16"; "compressed" to the largest parent's rank; "one from elsewhere".
    """
    rng = np.random.default_rng([query, len(kind)])
    chosen = rng.choice(len(library.entries), int(rng.integers(2, 6)), replace=False)
    weights = rng.uniform(0.1, 1.5, len(chosen)) * rng.choice([-1.0, 1.0], len(chosen))
    parts = [library.adapter(int(at)) for at in chosen]
    total = sum(float(w) * part for w, part in zip(weights, parts, strict=True))
    if kind == "compressed":
        total = total.compress(max(part.rank for part in parts))
    if kind == "one from elsewhere":
        strange = _factors(rng, 8)
        own = Adapter({n: Delta.of(*both) for n, both in strange.items()}, base_model="gpt2")
        total = total + own
    names = (library.names[int(at)] for at in chosen)
    return _rounded(total), dict(zip(names, map(float, weights), strict=True))


def _factors(rng: np.random.Generator, rank: int) -> Factors:
    size = np.float32(np.exp(0.5 * rng.standard_normal()) / np.sqrt(rank) / 1000.0)
    return {
        name: (
            size * rng.standard_normal((out, rank), dtype=np.float32),
            rng.standard_normal((rank, inner), dtype=np.float32),
        )
        for name, (out, inner) in _SHAPES.items()
    }


def _moved(rng: np.random.Generator, B: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(
        x + np.float32(0.1 * x.std()) * rng.standard_normal(x.shape, dtype=np.float32)
        for x in (B, A)
    )


def _rounded(adapter: Adapter) -> Adapter:
    """Give an adapter as a bfloat16 file would hold it."""
    deltas = {}
    for name, delta in adapter.items():
        B = np.concatenate([t.coefficient * np.asarray(t.B, np.float32) for t in delta.terms], 1)
        A = np.concatenate([np.asarray(t.A, np.float32) for t in delta.terms])
        deltas[name] = Delta.of(B.astype("bfloat16"), A.astype("bfloat16"))
    return Adapter(deltas, "anonymous", base_model="gpt2")


def _write(folder: Path, factors: Factors) -> None:
    folder.mkdir(parents=True)
    tensors = {}
    for name, (B, A) in factors.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = A
        tensors[f"base_model.model.{name}.lora_B.weight"] = B
    save_file(tensors, folder / "adapter_model.safetensors")
    rank = len(next(iter(factors.values()))[1])
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": "gpt2",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": ["c_attn"],
        "fan_in_fan_out": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
