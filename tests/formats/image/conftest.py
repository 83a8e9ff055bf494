"""Image LoRAs written by hand, and kohya's own formula for what they do to a weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]

# Modules of a UNet and a text encoder: name, out, in, kernel.
MODULES: tuple[tuple[str, int, int, tuple[int, ...]], ...] = (
    ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", 12, 8, ()),
    ("lora_unet_down_blocks_0_attentions_0_proj_in", 8, 8, (1, 1)),
    ("lora_unet_down_blocks_0_resnets_0_conv1", 10, 8, (3, 3)),
    ("lora_te_text_model_encoder_layers_0_mlp_fc1", 16, 6, ()),
)


class WriteLora(Protocol):
    """Writes a kohya file of random factors and gives its path."""

    def __call__(
        self,
        name: str,
        *,
        seed: int = 0,
        rank: int = 2,
        alpha: float | None = 1.0,
        dtype: torch.dtype = ...,
        modules: tuple[tuple[str, int, int, tuple[int, ...]], ...] = ...,
        extra: Mapping[str, torch.Tensor] = ...,
        metadata: Mapping[str, str] = ...,
    ) -> Path: ...


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal values that depend on shape and seed alone, float32."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(hash((seed, *shape))))


def lora(
    module: str, out: int, into: int, kernel: tuple[int, ...] = (), *, rank: int, seed: int = 0
) -> Tensors:
    """The two factors of a module, as kohya stores them."""
    ones = [1] * len(kernel)
    return {
        f"{module}.lora_down.weight": random(rank, into, *kernel, seed=2 * seed),
        f"{module}.lora_up.weight": random(out, rank, *ones, seed=2 * seed + 1),
    }


def kohya_merge(weight: torch.Tensor, file: Mapping[str, torch.Tensor], module: str, ratio: float):
    """What kohya's merge makes of a weight: the formula of sd-scripts, `merge_to_sd_model`.

    file: all tensors in float32, as its load_state_dict gives them.
    """
    down, up = file[f"{module}.lora_down.weight"], file[f"{module}.lora_up.weight"]
    dim = down.size()[0]
    scale = file.get(f"{module}.alpha", dim) / dim
    if weight.dim() == 2:
        change = up @ down
    elif down.shape[2:] == (1, 1):
        change = (up[:, :, 0, 0] @ down[:, :, 0, 0])[:, :, None, None]
    else:
        change = torch.nn.functional.conv2d(down.permute(1, 0, 2, 3), up).permute(1, 0, 2, 3)
    return weight + ratio * change * scale


@pytest.fixture
def write_lora(tmp_path: Path) -> WriteLora:
    def write(
        name: str,
        *,
        seed: int = 0,
        rank: int = 2,
        alpha: float | None = 1.0,
        dtype: torch.dtype = torch.float32,
        modules: tuple[tuple[str, int, int, tuple[int, ...]], ...] = MODULES,
        extra: Mapping[str, torch.Tensor] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        tensors: dict[str, Any] = {}
        for module, out, into, kernel in modules:
            tensors |= lora(module, out, into, kernel, rank=rank, seed=seed)
            if alpha is not None:
                tensors[f"{module}.alpha"] = torch.tensor(alpha)
        tensors = {key: tensor.to(dtype) for key, tensor in tensors.items()}
        path = tmp_path / f"{name}.safetensors"
        save_file({**tensors, **(extra or {})}, path, metadata=dict(metadata or {}))
        return path

    return write
