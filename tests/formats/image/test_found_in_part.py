"""What a loader would pass over in a sum, or trip over, though it takes both parents whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import superpose
from superpose.errors import SuperposeWarning
from superpose.lowrank import dense

from .families import Changes, Tensors, factors, linear_layers, loaded, saved

TO_DIFFUSERS = pytest.mark.filterwarnings("ignore:one weight under two names")


def with_biases(tensors: Tensors, seed: int) -> Tensors:
    """As ComfyUI's extraction stores them, beside each module's factors."""
    generator = torch.Generator().manual_seed(seed)
    ups = {name: t for name, t in tensors.items() if name.endswith(".lora_B.weight")}
    return tensors | {
        name.replace(".lora_B.weight", ".diff_b"): torch.randn(len(t), generator=generator)
        for name, t in ups.items()
    }


def assert_adds_up(family: str, paths: list[Path], out: Path) -> None:
    expected: Changes = {}
    for path in paths:
        for name, change in loaded(family, path).items():
            expected[name] = expected.get(name, 0) + change
    found = loaded(family, out)
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        assert np.linalg.norm(found[name] - change) <= 1e-5 * np.linalg.norm(change), name


@TO_DIFFUSERS
@pytest.mark.parametrize("order", [1, -1])
def test_a_bias_of_comfyuis_file_is_found_under_diffusers_names(tmp_path: Path, order: int) -> None:
    """Diffusers reads Wan's `diff_b` under the model's own names alone, and passes it over else."""
    q = "blocks.0.self_attn.q"
    comfyui = with_biases(factors({f"diffusion_model.{q}": (24, 24)}, 1), 2)
    names = {f"transformer.blocks.0.attn1.to_{x}": (24, 24) for x in "qk"}
    paths = [
        saved(comfyui, tmp_path / "comfyui.safetensors"),
        saved(factors(names, 3), tmp_path / "diffusers.safetensors"),
    ]
    a, b = (superpose.load(path) for path in paths[::order])
    superpose.save(a + b, tmp_path / "sum.safetensors")
    assert "blocks.0.attn1.to_q.bias" in loaded("Wan", tmp_path / "sum.safetensors")
    assert_adds_up("Wan", paths, tmp_path / "sum.safetensors")


OWN_NAMES = {
    "Wan": {"blocks.0.self_attn.q": (24, 24), "blocks.0.ffn.0": (32, 24)},
    "Flux": {"double_blocks.0.img_attn.qkv": (96, 32), "single_blocks.0.linear2": (32, 160)},
}


@pytest.mark.parametrize("prefix", ["diffusion_model.", "transformer."])
@pytest.mark.parametrize("family", ["Flux", "Wan", "QwenImage"])
def test_a_compact_sum_of_modules_that_differ_in_rank_is_loaded(
    tmp_path: Path, family: str, prefix: str
) -> None:
    """In names that diffusers replaces, a configuration would speak of modules it does not have."""
    modules = OWN_NAMES.get(family) if prefix == "diffusion_model." else None
    if modules is None:
        own = linear_layers(family)
        modules = {n: own[n] for n in [n for n in own if "blocks.0.attn" in n][:2]}
    first, second = ({prefix + n: shape} for n, shape in modules.items())
    paths = [
        saved(factors(first, 1, rank=1) | factors(second, 2, rank=3), tmp_path / "a.safetensors"),
        saved(factors(second, 3, rank=2), tmp_path / "b.safetensors"),
    ]
    a, b = (superpose.load(path) for path in paths)
    superpose.save(a + b, tmp_path / "sum.safetensors", compact=True)
    assert_adds_up(family, paths, tmp_path / "sum.safetensors")


@pytest.mark.parametrize("order", [1, -1])
def test_ltx_time_embedding_is_one_weight_under_its_own_name_and_diffusers(
    tmp_path: Path, order: int
) -> None:
    """Of its own names only those outside of the blocks differ from diffusers'."""
    block = "transformer_blocks.0.attn1.to_q"
    shapes = {block: (8, 8), "adaln_single.linear": (48, 8)}
    comfyui = factors({f"diffusion_model.{n}": s for n, s in shapes.items()}, 1)
    shapes = {block: (8, 8), "time_embed.linear": (48, 8)}
    diffusers = factors({f"transformer.{n}": s for n, s in shapes.items()}, 2)
    paths = [
        saved(tensors, tmp_path / f"{i}.safetensors")
        for i, tensors in enumerate((comfyui, diffusers))
    ]
    a, b = (superpose.load(path) for path in paths[::order])
    with pytest.warns(SuperposeWarning, match="one weight under two names"):
        total = a + b
    assert len(total) == 2


UNFOUND: dict[str, tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]] = {
    "SD3": (
        {"joint_blocks_0_x_block_attn_qkv": (96, 32)},
        {"transformer_blocks.0.attn.to_k": (32, 32)},
    ),
    "HunyuanVideo": (
        {"double_blocks_0_img_attn_qkv": (60, 20), "double_blocks_0_img_mlp_fc1": (80, 20)},
        {"transformer_blocks.0.attn.to_k": (20, 20)},
    ),
}


@TO_DIFFUSERS
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("family", UNFOUND)
def test_kohyas_names_that_diffusers_does_not_read_give_way_to_its_own(
    tmp_path: Path, family: str, order: int
) -> None:
    """It passes over kohya's file of the model, or raises: the sum has what it finds, all of it."""
    kohya, own = UNFOUND[family]
    names = {f"lora_unet_{name}": shape for name, shape in kohya.items()}
    own = {f"transformer.{name}": shape for name, shape in own.items()}
    paths = [
        saved(
            factors(names, 1, alpha=1.0, ends=("lora_down", "lora_up")), tmp_path / "k.safetensors"
        ),
        saved(factors(own, 2), tmp_path / "d.safetensors"),
    ]
    a, b = (superpose.load(path) for path in paths[::order])
    total = a + b
    superpose.save(total, tmp_path / "sum.safetensors")
    found = loaded(family, tmp_path / "sum.safetensors")
    assert {f"transformer.{name}" for name in found} == total.keys()
    for name, change in found.items():
        expected = dense(total[f"transformer.{name}"].terms)
        assert np.linalg.norm(change - expected) <= 1e-5 * np.linalg.norm(expected), name


@TO_DIFFUSERS
def test_a_bias_that_diffusers_would_pass_over_is_said(tmp_path: Path) -> None:
    """Without factors beside it there is no name under which both loaders take it."""
    q, k = "blocks.0.self_attn.q", "blocks.0.self_attn.k"
    comfyui = factors({f"diffusion_model.{q}": (24, 24)}, 1)
    comfyui[f"diffusion_model.{k}.diff_b"] = torch.ones(24)
    names = {"transformer.blocks.0.attn1.to_q": (24, 24)}
    a = superpose.load(saved(comfyui, tmp_path / "comfyui.safetensors"))
    b = superpose.load(saved(factors(names, 3), tmp_path / "diffusers.safetensors"))
    total = b + a
    with pytest.warns(SuperposeWarning, match=r"to_k\.diff_b.*diffusers passes it over"):
        superpose.save(total, tmp_path / "sum.safetensors")


def test_a_compact_kohya_file_says_that_diffusers_misreads_it(tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    tensors = {}
    for module, rank in (("lora_unet_down_blocks_0_attentions_0_proj_in", 2),
                         ("lora_unet_down_blocks_0_attentions_0_proj_out", 3)):  # fmt: skip
        tensors[f"{module}.lora_down.weight"] = torch.tensor(g.standard_normal((rank, 8)))
        tensors[f"{module}.lora_up.weight"] = torch.tensor(g.standard_normal((8, rank)))
        tensors[f"{module}.alpha"] = torch.tensor(float(rank))
    adapter = superpose.load(saved(tensors, tmp_path / "a.safetensors"))
    with pytest.warns(SuperposeWarning, match="differ in rank"):
        superpose.save(adapter, tmp_path / "compact.safetensors", compact=True)
    superpose.save(adapter, tmp_path / "padded.safetensors")
