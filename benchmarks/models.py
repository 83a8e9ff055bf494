"""Random base models of Llama's shape, written tensor by tensor: no transformers, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from benchmarks.adapters import Shapes
from superpose.files.header import TensorEntry, write_header

__all__ = ["llama_config", "llama_shapes", "llama_tensors", "write_llama"]

HIDDEN, INNER, VOCABULARY = 2048, 5632, 32000
"""TinyLlama's."""

_KEY_VALUE = 256


def llama_shapes() -> Shapes:
    """Every linear layer of one decoder layer of TinyLlama -> (out_features, in_features)."""
    at = "model.layers.{layer}."
    return {
        at + "self_attn.q_proj": (HIDDEN, HIDDEN),
        at + "self_attn.k_proj": (_KEY_VALUE, HIDDEN),
        at + "self_attn.v_proj": (_KEY_VALUE, HIDDEN),
        at + "self_attn.o_proj": (HIDDEN, HIDDEN),
        at + "mlp.gate_proj": (INNER, HIDDEN),
        at + "mlp.up_proj": (INNER, HIDDEN),
        at + "mlp.down_proj": (HIDDEN, INNER),
    }


def write_llama(path: Path, layers: int, shards: int = 1) -> Path:
    """Write a model of TinyLlama's widths and so many layers, bfloat16, in `shards` files.

    path: of the folder, made here. A layer has 88 MB; embedding and output layer 131 MB each.
    """
    path.mkdir(parents=True)
    tensors = list(llama_tensors(layers))
    each = -(-len(tensors) // shards)
    weight_map = {}
    for number in range(shards):
        part = tensors[number * each : (number + 1) * each]
        file = "model.safetensors"
        if shards > 1:
            file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        _write(path / file, part, seed=number)
        weight_map |= {name: file for name, _ in part}
    if shards > 1:
        index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
        (path / "model.safetensors.index.json").write_text(json.dumps(index))
    (path / "config.json").write_text(json.dumps(llama_config(layers)))
    return path


def llama_tensors(layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a model's tensors, in the order of its file."""
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for layer in range(layers):
        for name, shape in llama_shapes().items():
            yield f"{name.format(layer=layer)}.weight", shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{layer}.{name}.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCABULARY, HIDDEN)


def _write(path: Path, tensors: list[tuple[str, tuple[int, ...]]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    entries, at = {}, 0
    for name, shape in tensors:
        end = at + 2 * int(np.prod(shape))
        entries[name] = TensorEntry("BF16", shape, at, end)
        at = end
    # Rows of one block, each tensor shifted by another offset: as good as random, and quick.
    block = (rng.standard_normal(1 << 22, dtype=np.float32) * 0.02).astype(ml_dtypes.bfloat16)
    with path.open("wb") as file:
        file.write(write_header(entries, {"format": "pt"}))
        for _, shape in tensors:
            left = int(np.prod(shape))
            while left:
                part = np.roll(block, int(rng.integers(block.size)))[:left]
                file.write(part.view(np.uint8).data)
                left -= part.size


def llama_config(layers: int) -> dict[str, Any]:
    """The model's config.json."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": layers,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": False,
    }
