"""A tiny UNet and text encoder, and what diffusers makes of a file in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import peft
import torch
import transformers
from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader
from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_peft
from diffusers.utils.peft_utils import _create_lora_config

from superpose.adapter import Adapter
from superpose.lowrank import dense


def unet() -> Any:
    """A UNet of two blocks; weights of 0, so that a merged weight is the change itself."""
    model = diffusers.UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        cross_attention_dim=12,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    return zeroed(model)


def text_encoder() -> Any:
    config = transformers.CLIPTextConfig(
        vocab_size=50,
        hidden_size=12,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8,
        bos_token_id=0,
        eos_token_id=1,
    )
    return zeroed(transformers.CLIPTextModel(config))


def zeroed(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


def layers(model: Any) -> dict[str, Any]:
    kinds = torch.nn.Linear | torch.nn.Conv2d
    return {name: m for name, m in model.named_modules() if isinstance(m, kinds)}


def diffusers_changes(path: Path) -> dict[str, np.ndarray]:
    """What diffusers makes of a file: module with its component in front -> change."""
    state, alphas, metadata = Loader.lora_state_dict(
        path.parent, weight_name=path.name, return_lora_metadata=True, local_files_only=True
    )
    models = {"unet": unet(), "text_encoder": text_encoder()}
    if any(name.startswith("unet.") for name in state):
        Loader.load_lora_into_unet(state, alphas, models["unet"], metadata=metadata)
    if any(name.startswith("text_encoder.") for name in state):
        into_text_encoder(state, alphas, models["text_encoder"], metadata)
    changes = {}
    for component, model in models.items():
        for name, module in model.named_modules():
            if isinstance(module, peft.tuners.tuners_utils.BaseTunerLayer):
                delta = module.get_delta_weight(module.active_adapters[0]).detach().double()
                # transformers calls the text model's layers without `text_model` since 5.
                long = f"text_model.{name}" if component == "text_encoder" else name
                changes[f"{component}.{long}"] = delta.numpy().reshape(delta.shape[0], -1)
    return changes


def into_text_encoder(state: Any, alphas: Any, model: Any, metadata: Any) -> None:
    """Do as `_load_lora_into_text_encoder`: transformers 5.24 wants a later PEFT than ours."""
    start = "text_encoder."
    own = {n.removeprefix(start): t for n, t in state.items() if n.startswith(start)}
    own = convert_state_dict_to_peft(convert_state_dict_to_diffusers(own))
    own = {name.removeprefix("text_model."): tensor for name, tensor in own.items()}
    ranks = {name: t.shape[1] for name, t in own.items() if name.endswith("lora_B.weight")}
    if alphas is not None:
        alphas = {n.removeprefix(start): a for n, a in alphas.items() if n.startswith(start)}
    if metadata is not None:
        metadata = {n.removeprefix(start): v for n, v in metadata.items() if n.startswith(start)}
    config = _create_lora_config(own, alphas, metadata, ranks, is_unet=False)
    peft.inject_adapter_in_model(config, model)
    loaded = peft.set_peft_model_state_dict(model, own)
    assert not loaded.unexpected_keys


def own_changes(adapter: Adapter) -> dict[str, np.ndarray]:
    return {name: np.asarray(dense(d.terms), np.float64) for name, d in adapter.items()}


def assert_same(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], bound: float = 1e-6
) -> None:
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        assert np.linalg.norm(found[name] - change) <= bound * np.linalg.norm(change), name
