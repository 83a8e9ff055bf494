"""A made library: adapters of their own, checkpoints of runs, and copies where they are wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes  # noqa: F401 (teaches NumPy the name bfloat16)
import numpy as np
from safetensors.numpy import save_file

from superpose.files import new_file

__all__ = ["Factors", "Stock", "gpt2_shapes", "of_run", "random_factors"]

Factors = dict[str, tuple[np.ndarray, np.ndarray]]
"""Module -> B (out, r), A (r, in)."""

_NAMES = "names.json"


def gpt2_shapes(layers: int) -> dict[str, tuple[int, int]]:
    """Give what PEFT changes of a GPT-2 unless it is told: attention's c_attn, of some layers."""
    return {f"transformer.h.{layer}.attn.c_attn": (2304, 768) for layer in range(layers)}


def of_run(name: str) -> str:
    """Give the run that an adapter is of, by its name."""
    return name.rpartition("-")[0]


@dataclass(frozen=True)
class Stock:
    """What is made. Every third is a run of `steps` checkpoints; after every `copied`th a copy.

    A copy is the same in bfloat16, times -0.4, or in another split of its factors, by turns.
    """

    shapes: Mapping[str, tuple[int, int]]
    ranks: tuple[int, ...] = (4, 8, 16)
    steps: int = 4
    copied: int = 0
    seed: int = 0

    def write(self, top: Path, count: int) -> list[str]:
        """Write `count` adapters below a folder unless they are there, and give their names."""
        known = top / _NAMES
        if known.exists():
            return list(map(str, json.loads(known.read_text())))
        names = []
        for name, factors, how in self._all(count):
            names.append(name)
            if not (top / name / "adapter_config.json").exists():
                write_adapter(top / name, factors, how)
        with new_file(known) as beside:
            beside.write_text(json.dumps(names))
        return names

    def _all(self, count: int) -> Iterator[tuple[str, Factors, str]]:
        rng = np.random.default_rng(self.seed)
        made = 0
        while made < count:
            run, factors = made, random_factors(rng, self.shapes, int(rng.choice(self.ranks)))
            for step in range(self.steps if run % 3 == 0 else 1):
                if made == count:
                    return
                yield f"run-{run}-{step}", factors, "plain"
                made += 1
                if self.copied and made % self.copied == 0 and made < count:
                    how = ("bfloat16", "scaled", "split")[made // self.copied % 3]
                    yield f"{how}-{made}-of-run-{run}-{step}", factors, how
                    made += 1
                factors = {name: _moved(rng, *both) for name, both in factors.items()}


def random_factors(
    rng: np.random.Generator, shapes: Mapping[str, tuple[int, int]], rank: int
) -> Factors:
    """Give random factors of a size of their own: entries of a delta are about 1e-3."""
    size = np.float32(np.exp(0.5 * rng.standard_normal()) / np.sqrt(rank) / 1000.0)
    return {
        name: (
            size * rng.standard_normal((out, rank), dtype=np.float32),
            rng.standard_normal((rank, inner), dtype=np.float32),
        )
        for name, (out, inner) in shapes.items()
    }


def write_adapter(folder: Path, factors: Factors, how: str = "plain") -> None:
    """Write a PEFT folder, of these factors or of a copy of them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, (B, A) in factors.items():
        if how == "bfloat16":
            B, A = B.astype("bfloat16"), A.astype("bfloat16")
        if how == "split":
            turn = np.eye(len(A), dtype=np.float32) + np.float32(0.3)
            B, A = B @ turn, np.linalg.solve(turn, A)
        tensors[f"base_model.model.{name}.lora_A.weight"] = np.ascontiguousarray(A)
        tensors[f"base_model.model.{name}.lora_B.weight"] = np.ascontiguousarray(B)
    save_file(tensors, folder / "adapter_model.safetensors")
    rank = len(next(iter(factors.values()))[1])
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": "gpt2",
        "r": rank,
        "lora_alpha": -0.4 * rank if how == "scaled" else rank,
        "target_modules": ["c_attn"],
        "fan_in_fan_out": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))


def _moved(rng: np.random.Generator, B: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, ...]:
    """Give a checkpoint later: each factor moved by a tenth of its size."""
    return tuple(
        x + np.float32(0.1 * x.std()) * rng.standard_normal(x.shape, dtype=np.float32)
        for x in (B, A)
    )
