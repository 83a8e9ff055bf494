"""Names that a weight has elsewhere, and what becomes of a file on the way: adapters respelled."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["SPELLINGS", "Spelling", "respell"]

Tensors = dict[str, "torch.Tensor"]
Config = dict[str, Any]
Change = Callable[[Tensors, Config], tuple[Tensors, Config]]


@dataclass(frozen=True)
class Spelling:
    """A way to write an adapter that PEFT of today does not write.

    change: tensors and configuration as PEFT saved them -> as they are spelled here. loads: whether
    PEFT loads what comes out; where it does not, what it was made of tells what it is.
    """

    change: Change
    loads: bool = False


def respell(folder: Path, spelling: Spelling) -> None:
    """Write a folder's adapter anew, in place."""
    from safetensors.torch import load_file, save_file

    weights, settings = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    tensors, config = spelling.change(load_file(weights), json.loads(settings.read_text()))
    save_file({name: each.contiguous() for name, each in tensors.items()}, weights)
    settings.write_text(json.dumps(config, indent=2))


def _renamed(pattern: str, name: str) -> Change:
    """Give a change of keys alone."""

    def change(tensors: Tensors, config: Config) -> tuple[Tensors, Config]:
        return {re.sub(pattern, name, key): each for key, each in tensors.items()}, config

    return change


def _cut(pattern: str, *shape: int) -> Change:
    """Give a change that leaves of some tensors a shape without numbers, as ZeRO-3 does."""

    def change(tensors: Tensors, config: Config) -> tuple[Tensors, Config]:
        return {
            key: each.new_zeros(shape) if re.search(pattern, key) else each
            for key, each in tensors.items()
        }, config

    return change


def _a_layer_each(block: str, gate: str, up: str, down: str) -> Change:
    """Give every expert layers of its own, as transformers 4 had them; w3's A is not w1's."""

    def change(tensors: Tensors, config: Config) -> tuple[Tensors, Config]:
        found: Tensors = {}
        for place, a, b in _experts(tensors, config["r"]):
            place, _, layer = place.replace(".mlp.", f".{block}.").rpartition(".")
            half = len(b) // 2
            parts = {down: b} if layer == "down_proj" else {gate: b[:half], up: b[half:]}
            for name, rows in parts.items():
                found[f"{place}.{name}.lora_A.weight"] = a.roll(1, 1) if name == up else a
                found[f"{place}.{name}.lora_B.weight"] = rows
        return found, config | {"target_modules": [gate, up, down], "target_parameters": None}

    return change


def _a_fused_layer_each(tensors: Tensors, config: Config) -> tuple[Tensors, Config]:
    """Give every expert a linear layer, gate and up in one, as unsloth has them in gpt-oss."""
    found: Tensors = {}
    for place, a, b in _experts(tensors, config["r"]):
        block, expert, layer = place.rsplit(".", 2)
        found[f"{block}.{layer}s.{expert}.lora_A.weight"] = a
        found[f"{block}.{layer}s.{expert}.lora_B.weight"] = b
    return found, config | {
        "target_modules": r".*\.experts\.(gate_up|down)_projs\.\d+",
        "target_parameters": None,
    }


def _experts(tensors: Tensors, rank: int) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Give `...mlp.experts.N.LAYER` with A (rank, in) and B (out, rank) for each expert of a stack.

    PEFT 0.21 wraps a module's parameters in order: the inner one, base_layer, is gate_up_proj.
    A is (experts * rank, in), an expert after the other; B (out, rank * experts), a rank after the
    other (peft.tuners.lora.layer.ParamWrapper.get_delta_weight).
    """
    for key, a in tensors.items():
        place, found, _ = key.partition(".lora_A.")
        if found:
            b = tensors[key.replace("lora_A", "lora_B")]
            layer = "gate_up_proj" if place.endswith(".base_layer") else "down_proj"
            block = place.removesuffix(".base_layer")
            for expert in range(len(a) // rank):
                rows = slice(expert * rank, (expert + 1) * rank)
                columns = slice(expert, None, len(a) // rank)
                yield f"{block}.{expert}.{layer}", a[rows], b[:, columns]


_MODEL = r"^base_model\.model\."
_LAYER = r"^base_model\.model\.model\.layers\.(\d+)\."

SPELLINGS: dict[str, Spelling] = {
    "language_model.model. as in 4.51": Spelling(
        _renamed(r"\.model\.language_model\.", ".language_model.model."), loads=True
    ),
    "model. as in 4.51": Spelling(_renamed(r"\.model\.language_model\.", ".model.")),
    "torch.compile's _orig_mod. inside": Spelling(_renamed(_MODEL, "base_model.model._orig_mod.")),
    "DataParallel's module. inside": Spelling(_renamed(_MODEL, "base_model.model.module.")),
    "FSDP's and checkpointing's wrappers inside": Spelling(
        _renamed(
            _LAYER,
            r"base_model.model._fsdp_wrapped_module.model.layers.\1._fsdp_wrapped_module."
            r"_checkpoint_wrapped_module.",
        )
    ),
    "PEFT's prefix twice": Spelling(_renamed(_MODEL, "base_model.model.base_model.model.")),
    "experts w1, w2, w3 each": Spelling(
        _a_layer_each("block_sparse_moe", "w1", "w3", "w2"), loads=True
    ),
    "experts gate_proj, up_proj, down_proj each": Spelling(
        _a_layer_each("mlp", "gate_proj", "up_proj", "down_proj"), loads=True
    ),
    "experts gate_up_projs.N and down_projs.N": Spelling(_a_fused_layer_each),
    "a head of shape (0,)": Spelling(_cut(r"lm_head", 0)),
    "a head of shape (0, 32)": Spelling(_cut(r"lm_head", 0, 32)),
    "a factor of shape (0,)": Spelling(_cut(r"layers\.1.*v_proj\.lora_B", 0)),
}
"""What is done with an adapter after PEFT has saved it."""
