"""Two files of one model, in every spelling that diffusers' loader of it takes, and their sum.

The oracle is that loader with a tiny model: it applies both parents and the sum, and the changes of
the weights add up.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import superpose
from superpose.errors import SuperposeWarning

from .families import MODELS, Changes, Tensors, factors, linear_layers, loaded, saved

DOWN_UP = ("lora_down", "lora_up")
Spelling = Callable[[str, int], Tensors]


def prefixed(prefix: str, **options: object) -> Spelling:
    def tensors(family: str, seed: int) -> Tensors:
        modules = {f"{prefix}{n}": shape for n, shape in some(family).items()}
        return factors(modules, seed, **options)  # type: ignore[arg-type]

    return tensors


def flat(prefix: str, part: str = "") -> Spelling:
    def tensors(family: str, seed: int) -> Tensors:
        found = {n: s for n, s in some(family).items() if part in n}
        modules = {f"{prefix}{n.replace('.', '_')}": s for n, s in found.items()}
        return factors(modules, seed, alpha=3.0, ends=DOWN_UP)

    return tensors


def some(family: str) -> dict[str, tuple[int, int]]:
    """The layers of a family's blocks: what LoRAs are trained on."""
    found = linear_layers(family)
    return {n: s for n, s in found.items() if "block" in n or "layers" in n or "refiner" in n}


def native(modules: dict[str, tuple[int, int]], prefix: str, *, kohya: bool = False) -> Spelling:
    """Under the model's own names."""

    def tensors(family: str, seed: int) -> Tensors:
        if kohya:
            names = {f"{prefix}{n.replace('.', '_')}": s for n, s in modules.items()}
            return factors(names, seed, alpha=1.0, ends=DOWN_UP)
        return factors({f"{prefix}{n}": s for n, s in modules.items()}, seed)

    return tensors


DIFFUSERS = {"diffusers": prefixed("transformer.")}
COMFYUI = {"ComfyUI": prefixed("diffusion_model.")}

FLUX = {
    "double_blocks.0.img_attn.qkv": (96, 32),
    "double_blocks.0.txt_attn.qkv": (96, 32),
    "double_blocks.0.img_attn.proj": (32, 32),
    "double_blocks.0.txt_attn.proj": (32, 32),
}
FLUX_1 = {
    "double_blocks.0.img_mlp.0": (128, 32),
    "double_blocks.0.img_mlp.2": (32, 128),
    "double_blocks.0.txt_mlp.0": (128, 32),
    "double_blocks.0.img_mod.lin": (192, 32),
    "single_blocks.0.linear2": (32, 160),
    "single_blocks.0.modulation.lin": (96, 32),
}
FLUX_2 = {
    "double_blocks.0.img_mlp.0": (192, 32),
    "double_blocks.0.img_mlp.2": (32, 96),
    "double_blocks.0.txt_mlp.0": (192, 32),
    "single_blocks.0.linear1": (288, 32),
    "single_blocks.0.linear2": (32, 128),
}
HUNYUAN = {
    "double_blocks.0.img_attn_qkv": (60, 20),
    "double_blocks.0.txt_attn_qkv": (60, 20),
    "double_blocks.0.img_attn_proj": (20, 20),
    "double_blocks.0.img_mlp.fc1": (80, 20),
    "double_blocks.0.img_mlp.fc2": (20, 80),
    "double_blocks.0.img_mod.linear": (120, 20),
    "single_blocks.0.linear2": (20, 100),
}
WAN = {
    f"blocks.{i}.{name}": shape
    for i in (0, 1)
    for name, shape in {
        **{f"{kind}_attn.{x}": (24, 24) for kind in ("self", "cross") for x in "qkvo"},
        "ffn.0": (32, 24),
        "ffn.2": (24, 32),
    }.items()
}
Z_IMAGE = {
    "layers.0.attention.qkv": (96, 32),
    "layers.0.attention.out": (32, 32),
    "noise_refiner.0.attention.qkv": (96, 32),
}

SPELLINGS: dict[str, dict[str, Spelling]] = {
    **dict.fromkeys(MODELS, DIFFUSERS),
    "Flux": {
        **DIFFUSERS,
        "OneTrainer": flat("lora_transformer_", ".attn."),
        "kohya": native({**FLUX, **FLUX_1}, "lora_unet_", kohya=True),
        "ComfyUI": lambda family, seed: {
            n.replace("lora_A", "lora_down").replace("lora_B", "lora_up"): t
            for n, t in native({**FLUX, **FLUX_1}, "diffusion_model.")(family, seed).items()
        },
    },
    "Flux2": {
        **DIFFUSERS,
        "kohya": native({**FLUX, **FLUX_2}, "lora_unet_", kohya=True),
        "ai-toolkit": native({**FLUX, **FLUX_2}, "diffusion_model."),
    },
    "Wan": {
        **DIFFUSERS,
        "ComfyUI": native(WAN, "diffusion_model."),
        "musubi": native(WAN, "lora_unet_", kohya=True),
    },
    "SkyReelsV2": {**DIFFUSERS, "ComfyUI": native(WAN, "diffusion_model.")},
    "QwenImage": {
        **DIFFUSERS,
        **COMFYUI,
        "Lightning": prefixed("", alpha=3.0, ends=DOWN_UP),
        "kohya": flat("lora_unet_"),
    },
    "ZImage": {
        **DIFFUSERS,
        **COMFYUI,
        "bare": prefixed("", alpha=3.0, ends=DOWN_UP),
        "kohya": flat("lora_unet_"),
        "fused": native(Z_IMAGE, "lora_unet_", kohya=True),
    },
    "LTXVideo": {**DIFFUSERS, **COMFYUI},
    "LTX2": {**DIFFUSERS, **COMFYUI},
    "HiDreamImage": {**DIFFUSERS, **COMFYUI},
    "HunyuanVideo": {
        **DIFFUSERS,
        "own names": native(HUNYUAN, "transformer."),
        "ComfyUI": native(HUNYUAN, "diffusion_model."),
    },
}

PAIRS = [
    pytest.param(family, *pair, marks=() if pair == tuple(sorted(pair)) else pytest.mark.hard)
    for family, spellings in SPELLINGS.items()
    for pair in itertools.product(spellings, repeat=2)
]
"""The other way round before a release."""


@pytest.mark.parametrize(("family", "first", "second"), PAIRS)
def test_what_diffusers_loads_of_a_sum_is_the_sum_of_what_it_loads_of_the_parents(
    tmp_path: Path, family: str, first: str, second: str
) -> None:
    paths = []
    for seed, spelling in enumerate((first, second)):
        tensors = SPELLINGS[family][spelling](family, seed)
        paths.append(saved(tensors, tmp_path / f"{seed}.safetensors"))
    assert_the_sum_is_found(family, paths, tmp_path / "sum.safetensors", said=first != second)


def assert_the_sum_is_found(family: str, paths: list[Path], out: Path, *, said: bool) -> None:
    parents = [loaded(family, path) for path in paths]
    assert all(parents)
    weights = (1.0, -0.5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        a, b = (superpose.load(path) for path in paths)
        superpose.save(weights[0] * a + weights[1] * b, out)
    assert any(issubclass(w.category, SuperposeWarning) for w in caught) == said
    expected: Changes = {}
    for weight, parent in zip(weights, parents, strict=True):
        for name, change in parent.items():
            expected[name] = expected.get(name, 0) + weight * change
    found = loaded(family, out)
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        assert np.linalg.norm(found[name] - change) <= 1e-5 * np.linalg.norm(change), name
