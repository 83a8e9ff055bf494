"""A server's folders with real adapters in them, and the sum of some as a dense oracle has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.conftest import WriteAdapter

from superpose.serving import AdapterServer, ServerSettings

BASE = "org/tiny-llama"


@pytest.fixture
def folder(tmp_path: Path, write_adapter: WriteAdapter) -> Path:
    """Adapters of one base: plain, rsLoRA, in a folder of a team, and one of another base."""
    write_adapter("allowed/math", seed=1, rank=2)
    write_adapter("allowed/medicine", seed=2, rank=4, use_rslora=True)
    write_adapter("allowed/team/law", seed=3, rank=3, alpha=1.0)
    write_adapter("allowed/other", seed=4, base_model="org/quite-another")
    write_adapter("outside/secret", seed=5)
    return tmp_path / "allowed"


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Callable[..., AdapterServer]:
    def made(**settings: Any) -> AdapterServer:
        return AdapterServer(
            ServerSettings(**{"folders": (folder,), "cache": tmp_path / "kept", **settings})
        )

    return made


def deltas(path: Path) -> dict[str, np.ndarray]:
    """Every module's dense delta of a PEFT folder, by PEFT's own rule for the scaling."""
    config = json.loads((path / "adapter_config.json").read_text())
    rank, alpha = config["r"], config["lora_alpha"]
    scaling = alpha / np.sqrt(rank) if config.get("use_rslora") else alpha / rank
    tensors = {k: v.astype(np.float64) for k, v in load_file(path / WEIGHTS).items()}
    modules = {key.rpartition(".lora_")[0] for key in tensors}
    pairs = {m: [tensors[f"{m}.lora_{side}.weight"] for side in "BA"] for m in modules}
    return {module: scaling * B @ A for module, (B, A) in pairs.items()}


WEIGHTS = "adapter_model.safetensors"


def dense_sum(folder: Path, weights: dict[str, float]) -> dict[str, np.ndarray]:
    each = [(weight, deltas(folder / name)) for name, weight in weights.items()]
    return {m: sum(weight * delta[m] for weight, delta in each) for m in each[0][1]}


def rank_of(path: Path) -> int:
    return int(json.loads((path / "adapter_config.json").read_text())["r"])
