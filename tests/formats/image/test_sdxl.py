"""SDXL's U-Net: its own code counts the blocks through, and diffusers' loader says what is what."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.loaders import StableDiffusionXLLoraLoaderMixin as XLLoader
from safetensors.torch import load_file

import superpose
from superpose.errors import SuperposeWarning
from superpose.names.image_tables import Piece, translated

from .families import Changes, Tensors, changes_of, factors, saved
from .tiny import layers, zeroed

DOWN_UP = ("lora_down", "lora_up")


def sdxl_unet() -> Any:
    return zeroed(
        diffusers.UNet2DConditionModel(
            sample_size=8, layers_per_block=2, block_out_channels=(8, 16, 16), norm_num_groups=4,
            cross_attention_dim=12, attention_head_dim=4, use_linear_projection=True,
            addition_embed_type="text_time", addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=20, transformer_layers_per_block=(1, 2, 1),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        )
    )  # fmt: skip


def own_names() -> Iterable[str]:
    """Of the modules of SDXL's U-Net, as its own code calls them (sgm)."""
    resnet = ("in_layers_2", "out_layers_3", "emb_layers_1")
    inner = "attn1_to_q attn1_to_out_0 attn2_to_k attn2_to_v ff_net_0_proj ff_net_2".split()
    attention = ("proj_in", "proj_out", *(f"transformer_blocks_0_{x}" for x in inner))
    for number in range(1, 9):
        block, layer = divmod(number - 1, 3)
        if layer == 2:
            yield f"input_blocks_{number}_0_op"
            continue
        yield from (f"input_blocks_{number}_0_{x}" for x in resnet)
        yield from (f"input_blocks_{number}_1_{x}" for x in attention if block)
    yield "input_blocks_4_0_skip_connection"
    for number in (0, 2):
        yield from (f"middle_block_{number}_{x}" for x in resnet)
    yield from (f"middle_block_1_{x}" for x in attention)
    for number in range(9):
        yield from (f"output_blocks_{number}_0_{x}" for x in (*resnet, "skip_connection"))
        yield from (f"output_blocks_{number}_1_{x}" for x in attention if number < 6)
    yield from ("output_blocks_2_2_conv", "output_blocks_5_2_conv", "input_blocks_0_0", "out_2")
    yield from ("time_embed_0", "time_embed_2")  # of kohya's add_embedding diffusers reads none


@cache
def sdxl_names_and_shapes() -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """Give its own names -> diffusers', and diffusers' -> the shapes of their weights."""
    model = sdxl_unet()
    shapes = {name: tuple(layer.weight.shape) for name, layer in layers(model).items()}
    return own_to_diffusers(model.config), shapes


def own_to_diffusers(config: Any) -> dict[str, str]:
    """By diffusers' own loader: a tensor for each name, and where it comes out."""
    names = [f"lora_unet_{name}" for name in own_names()]
    tensors = {}
    for i, name in enumerate(names):
        tensors |= {f"{name}.lora_{s}.weight": torch.tensor([[float(i)]]) for s in ("down", "up")}
    state, _ = XLLoader.lora_state_dict(tensors, unet_config=config)
    state = diffusers.utils.convert_unet_state_dict_to_peft(state)
    ending = ".lora_A.weight"
    return {names[int(t)]: n.removeprefix("unet.").removesuffix(ending)
            for n, t in state.items() if n.endswith(ending)}  # fmt: skip


def sdxl_changes(path: Path) -> Changes:
    model = sdxl_unet()
    state, alphas = XLLoader.lora_state_dict(load_file(path), unet_config=model.config)
    XLLoader.load_lora_into_unet(state, alphas, model)
    return {n: c.reshape(len(c), -1) for n, c in changes_of(model).items()}


def test_each_of_its_own_names_is_diffusers_one() -> None:
    """Norms beside what its loader reads, by diffusers' `single_file_utils`: "in_layers.0"."""
    norms = {"input_blocks_1_0_in_layers_0": "down_blocks.0.resnets.0.norm1",
             "output_blocks_8_0_out_layers_0": "up_blocks.2.resnets.2.norm2"}  # fmt: skip
    for own, there in {**sdxl_names_and_shapes()[0], **norms}.items():
        flat = own.removeprefix("lora_unet_")
        assert translated("sgm", flat, (8, 8)) == (Piece(there),), own


# The other way round before a release: twice as many seconds for what is read alike.
@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(pair, marks=() if pair == tuple(sorted(pair)) else pytest.mark.hard)
        for pair in itertools.permutations(("own", "kohya", "diffusers"), 2)
    ],
    ids="-".join,
)
def test_sdxl_files_of_its_own_blocks_and_of_diffusers_meet(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    names, shapes = sdxl_names_and_shapes()
    assert set(names.values()) <= shapes.keys()
    assert len(names) > 120
    spelled = {
        "own": {name: shapes[there] for name, there in names.items()},
        "kohya": {f"lora_unet_{n.replace('.', '_')}": shapes[n] for n in names.values()},
        "diffusers": {f"unet.{n}": shapes[n] for n in names.values()},
    }
    paths = []
    for seed, way in enumerate(pair):
        path = tmp_path / f"{seed}.safetensors"
        paths.append(saved(kernels(spelled[way], seed, kohya=way != "diffusers"), path))
    with pytest.warns(SuperposeWarning, match="one weight under two names"):
        total = superpose.load(paths[0]) - 0.5 * superpose.load(paths[1])
    superpose.save(total, tmp_path / "sum.safetensors")
    first, second = (sdxl_changes(path) for path in paths)
    found = sdxl_changes(tmp_path / "sum.safetensors")
    assert found.keys() == first.keys() == second.keys()
    for name, change in found.items():
        np.testing.assert_allclose(change, first[name] - 0.5 * second[name], atol=2e-4)


def kernels(modules: dict[str, tuple[int, ...]], seed: int, *, kohya: bool) -> Tensors:
    """Factors of linear layers and convolutions."""
    flat = {name: (s[0], int(np.prod(s[1:]))) for name, s in modules.items()}
    ends = DOWN_UP if kohya else ("lora_A", "lora_B")
    tensors = factors(flat, seed, alpha=3.0 if kohya else None, ends=ends)
    for name, shape in modules.items():
        if len(shape) == 4:
            for end, size in ((ends[0], shape[1:]), (ends[1], (2, 1, 1))):
                key = f"{name}.{end}.weight"
                tensors[key] = tensors[key].reshape(tensors[key].shape[0], *size)
    return tensors
