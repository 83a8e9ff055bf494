"""ckptkit: `merge_lora_state_dicts` adds one adapter to a base's tensors, with a factor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from benchmarks.exactness.protocol import Task, Tool, Way

__all__ = ["CKPTKIT"]


def _merge(task: Task) -> Path:
    from ckptkit import merge_lora_state_dicts
    from safetensors.torch import load_file, save_file

    state = load_file(Path(task.base, "model.safetensors"))
    for path, weight in zip(task.adapters, task.weights, strict=True):
        settings = json.loads(Path(path, "adapter_config.json").read_text())
        factor = weight * settings["lora_alpha"] / settings["r"]
        adapter = load_file(Path(path, "adapter_model.safetensors"))
        state = merge_lora_state_dicts(state, adapter, alpha=factor)
    out = Path(task.out)
    shutil.copytree(task.base, out)
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    return out


CKPTKIT = Tool(
    "ckptkit",
    "ckptkit",
    (
        Way(
            "merge_lora_state_dicts",
            "merge_lora_state_dicts(base, a, alpha=weight * lora_alpha / r), then b into that",
            "model",
            True,
            _merge,
        ),
    ),
)
