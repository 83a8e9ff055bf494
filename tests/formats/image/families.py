"""Tiny models of diffusers' families, and what their own loaders make of a LoRA's file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers.loaders import lora_pipeline
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file

from .tiny import layers, zeroed

Tensors = dict[str, torch.Tensor]
Changes = dict[str, np.ndarray]

# Loader of the pipeline, model, its options: layers enough to have every kind once.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "Flux": ("FluxTransformer2DModel", {
        "patch_size": 1, "in_channels": 4, "num_layers": 1, "num_single_layers": 1,
        "attention_head_dim": 16, "num_attention_heads": 2, "joint_attention_dim": 24,
        "pooled_projection_dim": 20, "axes_dims_rope": (4, 4, 8), "guidance_embeds": True}),
    "Flux2": ("Flux2Transformer2DModel", {
        "patch_size": 1, "in_channels": 4, "num_layers": 1, "num_single_layers": 1,
        "attention_head_dim": 16, "num_attention_heads": 2, "joint_attention_dim": 24,
        "timestep_guidance_channels": 16, "axes_dims_rope": (4, 4, 4, 4)}),
    "SD3": ("SD3Transformer2DModel", {
        "sample_size": 8, "patch_size": 1, "in_channels": 4, "num_layers": 2,
        "attention_head_dim": 8, "num_attention_heads": 4, "joint_attention_dim": 24,
        "caption_projection_dim": 32, "pooled_projection_dim": 20, "out_channels": 4,
        "dual_attention_layers": (0,)}),
    "Wan": ("WanTransformer3DModel", {
        "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12,
        "in_channels": 4, "out_channels": 4, "text_dim": 16, "freq_dim": 32, "ffn_dim": 32,
        "num_layers": 2}),
    "QwenImage": ("QwenImageTransformer2DModel", {
        "patch_size": 2, "in_channels": 16, "out_channels": 4, "num_layers": 1,
        "attention_head_dim": 16, "num_attention_heads": 2, "joint_attention_dim": 16,
        "axes_dims_rope": (8, 4, 4)}),
    "ZImage": ("ZImageTransformer2DModel", {
        "all_patch_size": (2,), "all_f_patch_size": (1,), "in_channels": 4, "dim": 32,
        "n_layers": 1, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2, "cap_feat_dim": 16,
        "axes_dims": [8, 4, 4], "axes_lens": [32, 32, 32]}),
    "LTXVideo": ("LTXVideoTransformer3DModel", {
        "in_channels": 8, "out_channels": 8, "num_attention_heads": 4, "attention_head_dim": 8,
        "cross_attention_dim": 32, "num_layers": 1, "caption_channels": 32}),
    "LTX2": ("LTX2VideoTransformer3DModel", {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 8,
        "cross_attention_dim": 16, "audio_in_channels": 4, "audio_out_channels": 4,
        "audio_num_attention_heads": 2, "audio_attention_head_dim": 4,
        "audio_cross_attention_dim": 8, "num_layers": 1, "caption_channels": 16}),
    "HunyuanVideo": ("HunyuanVideoTransformer3DModel", {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 10,
        "num_layers": 1, "num_single_layers": 1, "num_refiner_layers": 1, "text_embed_dim": 16,
        "pooled_projection_dim": 8, "rope_axes_dim": (2, 4, 4)}),
    "CogVideoX": ("CogVideoXTransformer3DModel", {
        "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4, "out_channels": 4,
        "time_embed_dim": 2, "text_embed_dim": 32, "num_layers": 1, "sample_width": 2,
        "sample_height": 2, "sample_frames": 9, "patch_size": 2, "max_text_seq_length": 16}),
    "Lumina2": ("Lumina2Transformer2DModel", {
        "sample_size": 16, "patch_size": 2, "in_channels": 4, "hidden_size": 24, "num_layers": 1,
        "num_refiner_layers": 1, "num_attention_heads": 3, "num_kv_heads": 1, "multiple_of": 2,
        "axes_dim_rope": (4, 2, 2), "axes_lens": (8, 8, 8), "cap_feat_dim": 16}),
    "Sana": ("SanaTransformer2DModel", {
        "sample_size": 8, "patch_size": 1, "in_channels": 4, "out_channels": 4, "num_layers": 1,
        "attention_head_dim": 4, "num_attention_heads": 2, "num_cross_attention_heads": 2,
        "cross_attention_head_dim": 4, "cross_attention_dim": 8, "caption_channels": 8}),
    "AuraFlow": ("AuraFlowTransformer2DModel", {
        "sample_size": 8, "patch_size": 2, "in_channels": 4, "num_mmdit_layers": 1,
        "num_single_dit_layers": 1, "attention_head_dim": 8, "num_attention_heads": 4,
        "caption_projection_dim": 32, "joint_attention_dim": 16, "out_channels": 4,
        "pos_embed_max_size": 16}),
    "Mochi1": ("MochiTransformer3DModel", {
        "patch_size": 2, "num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2,
        "pooled_projection_dim": 16, "in_channels": 4, "qk_norm": "rms_norm",
        "text_embed_dim": 16, "time_embed_dim": 4, "max_sequence_length": 16}),
    "CogView4": ("CogView4Transformer2DModel", {
        "patch_size": 2, "in_channels": 4, "num_layers": 1, "attention_head_dim": 4,
        "num_attention_heads": 4, "out_channels": 4, "text_embed_dim": 8, "time_embed_dim": 8,
        "condition_dim": 4}),
    "HiDreamImage": ("HiDreamImageTransformer2DModel", {
        "patch_size": 2, "in_channels": 4, "out_channels": 4, "num_layers": 1,
        "num_single_layers": 1, "attention_head_dim": 8, "num_attention_heads": 4,
        "caption_channels": [32, 16], "text_emb_dim": 64, "num_routed_experts": 4,
        "num_activated_experts": 2, "axes_dims_rope": (4, 2, 2), "max_resolution": (32, 32),
        "llama_layers": (0, 1)}),
    "SkyReelsV2": ("SkyReelsV2Transformer3DModel", {
        "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12,
        "in_channels": 4, "out_channels": 4, "text_dim": 16, "freq_dim": 32, "ffn_dim": 32,
        "num_layers": 2}),
    "Cosmos": ("CosmosTransformer3DModel", {
        "in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 16,
        "num_layers": 1, "mlp_ratio": 2, "text_embed_dim": 32, "adaln_lora_dim": 4,
        "max_size": (4, 32, 32), "patch_size": (1, 2, 2), "rope_scale": (2.0, 1.0, 1.0)}),
}  # fmt: skip


def model_of(family: str) -> Any:
    """A tiny model, all weights 0."""
    name, options = MODELS[family]
    return zeroed(getattr(diffusers, name)(**options))


def loader_of(family: str) -> Any:
    return getattr(lora_pipeline, f"{family}LoraLoaderMixin")


@cache
def linear_layers(family: str) -> Mapping[str, tuple[int, int]]:
    """Of a model: name -> (out, in)."""
    found = layers(model_of(family))
    return {n: tuple(m.weight.shape) for n, m in found.items() if m.weight.ndim == 2}


def loaded(family: str, path: Path) -> Changes:
    """What diffusers' pipeline loader makes of a file in the family's model, by module.

    Of one parent in many sums the loader is asked once.
    """
    key = family, path.read_bytes()
    if key not in _LOADED:
        _LOADED[key] = _applied(family, path)
    return _LOADED[key]


_LOADED: dict[tuple[str, bytes], Changes] = {}


def _applied(family: str, path: Path) -> Changes:
    loader, model = loader_of(family), model_of(family)
    state, metadata = loader.lora_state_dict(
        path.parent, weight_name=path.name, return_lora_metadata=True, local_files_only=True
    )
    more = {"network_alphas": None} if family == "Flux" else {}
    loader.load_lora_into_transformer(state, transformer=model, metadata=metadata, **more)
    return changes_of(model)


def changes_of(model: Any) -> Changes:
    """What a model's loaded adapter adds to each module's weight; bias, too, where it has one."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            adapter = module.active_adapters[0]
            found[name] = module.get_delta_weight(adapter).detach().double().numpy()
            bias = getattr(module, "lora_bias", {}).get(adapter) and module.lora_B[adapter].bias
            if bias is not None and bias is not False:
                scaled = bias * module.scaling[adapter]
                found[f"{name}.bias"] = scaled.detach().double().numpy()
    return {name: change for name, change in found.items() if np.any(change)}


def factors(
    modules: dict[str, tuple[int, int]],
    seed: int,
    *,
    rank: int = 2,
    alpha: float | None = None,
    ends: tuple[str, str] = ("lora_A", "lora_B"),
) -> Tensors:
    """Random factors of each module; with an alpha tensor where there is an alpha."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, (out, into) in modules.items():
        tensors[f"{name}.{ends[0]}.weight"] = torch.randn(rank, into, generator=generator)
        tensors[f"{name}.{ends[1]}.weight"] = torch.randn(out, rank, generator=generator)
        if alpha is not None:
            tensors[f"{name}.alpha"] = torch.tensor(alpha)
    return tensors


def saved(tensors: Tensors, path: Path, **metadata: str) -> Path:
    save_file({n: t.contiguous() for n, t in tensors.items()}, path, metadata)
    return path
