"""Base models written by hand, tensor by tensor, for layouts of which a few numbers are enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

Tensors = Mapping[str, np.ndarray[Any, Any]]


def write_checkpoint(folder: Path, tensors: Tensors, *, shards: int = 1, **config: Any) -> Path:
    """Write a transformers folder: in one file, or in so many with an index."""
    folder.mkdir(parents=True)
    settings = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], **config}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    if shards == 1:
        save_file(dict(tensors), folder / "model.safetensors", {"format": "pt"})
        return folder
    names, weight_map = list(tensors), {}
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[number::shards]}
        save_file(part, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    size = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """Give random numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)
