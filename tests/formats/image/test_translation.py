"""A model's own names beside diffusers' for it: diffusers' converter of the model is the truth."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers
from safetensors.torch import load_file
from tests.pasted import follow

import superpose
from superpose.compose import exact_sum
from superpose.errors import Refused, SuperposeWarning
from superpose.lowrank import dense
from superpose.names.image_tables import LOADERS, translated

from .families import Changes, Tensors, factors, loader_of, saved

DOWN_UP = ("lora_down", "lora_up")
LAST = "transformer.norm_out.linear"
EMBEDDER = "transformer.time_text_embed.text_embedder.linear_1"
D = 3072  # diffusers knows the width of FLUX.1's and HunyuanVideo's single blocks alone

NATIVE: dict[str, tuple[str, dict[str, tuple[int, int]]]] = {
    "Flux": ("diffusion_model.", {
        "single_blocks.3.linear1": (7 * D, D),
        "single_blocks.3.linear2": (D, 5 * D),
        "double_blocks.1.img_attn.qkv": (3 * 16, 16),
        "double_blocks.1.txt_mlp.2": (16, 64),
    }),
    "HunyuanVideo": ("diffusion_model.", {
        "single_blocks.3.linear1": (7 * D, D),
        "double_blocks.1.img_attn_qkv": (3 * 16, 16),
        "double_blocks.1.txt_mod.linear": (96, 16),
        "double_blocks.1.txt_mlp.fc1": (64, 16),
    }),
    "Krea2": ("diffusion_model.", {
        **{f"blocks.2.attn.{w}": (16, 16) for w in ("wq", "wk", "wv", "wo", "gate")},
        **{f"blocks.2.mlp.{w}": (32, 16) for w in ("gate", "up", "down")},
        "txtfusion.refiner_blocks.1.attn.wv": (8, 8),
        "txtfusion.layerwise_blocks.0.mlp.down": (8, 8),
        "txtfusion.projector": (8, 8), "tmlp.0": (8, 8), "tmlp.2": (8, 8), "tproj.1": (8, 8),
        "txtmlp.1": (8, 8), "txtmlp.3": (8, 8), "first": (8, 4), "last.linear": (4, 8),
    }),
    "Anima": ("diffusion_model.", {
        **{f"blocks.2.{a}_attn.{x}_proj": (16, 16)
           for a in ("self", "cross") for x in ("q", "k", "v", "output")},
        "blocks.2.mlp.layer1": (64, 16), "blocks.2.mlp.layer2": (16, 64),
        "blocks.2.adaln_modulation_mlp.1": (8, 16),
        "blocks.2.adaln_modulation_cross_attn.2": (16, 8),
        "final_layer.adaln_modulation.2": (8, 8), "final_layer.linear": (4, 16),
        "x_embedder.proj.1": (16, 4),
    }),
    "AceStep": ("", {
        f"layers.5.{a}_attn.{x}_proj": (16, 16) for a in ("self", "cross") for x in "qkvo"
    }),
    "Ideogram4": ("diffusion_model.", {
        "layers.1.attention.qkv": (48, 16), "layers.1.attention.o": (16, 16),
        "layers.1.feed_forward.w2": (16, 32), "layers.1.adaln_modulation": (64, 16),
    }),
    "LTX2": ("diffusion_model.", {
        "patchify_proj": (16, 4), "audio_patchify_proj": (8, 4), "adaln_single.linear": (32, 8),
        "audio_adaln_single.emb.timestep_embedder.linear_1": (8, 8),
        "av_ca_a2v_gate_adaln_single.linear": (8, 8),
        "prompt_adaln_single.linear": (8, 8),
        "transformer_blocks.0.attn1.to_q": (16, 16), "transformer_blocks.0.ff.net.0.proj": (64, 16),
    }),
}  # fmt: skip


def products(state: Tensors) -> Changes:
    """What the factors of a state dict in diffusers' names make of three vectors, by module."""
    found = {}
    for name, up in state.items():
        if name.endswith(".lora_B.weight"):
            module = name.removesuffix(".lora_B.weight")
            down = state[f"{module}.lora_A.weight"]
            vectors = torch.randn(down.shape[1], 3, generator=torch.Generator().manual_seed(0))
            change = up.double() @ (down.double() @ vectors.double())
            found[module.removeprefix("transformer.")] = change.numpy()
    return found


def unshared(state: Tensors) -> Tensors:
    return {name: tensor.contiguous().clone() for name, tensor in state.items()}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("model", NATIVE)
def test_a_files_own_names_meet_what_diffusers_converter_makes_of_them(
    tmp_path: Path, model: str, order: int
) -> None:
    """The file beside its own conversion: the sum is twice the file, whatever names it has."""
    prefix, modules = NATIVE[model]
    ends = DOWN_UP if model == "Flux" else ("lora_A", "lora_B")
    native = factors({f"{prefix}{n}": s for n, s in modules.items()}, 1, rank=1, ends=ends)
    convert = loader_of(model).lora_state_dict
    expected = products(convert(dict(native)))
    assert len(expected) >= len(modules)
    own = saved(native, tmp_path / "own.safetensors")
    converted = saved(unshared(convert(dict(native))), tmp_path / "converted.safetensors")
    paths = [own, converted][::order]
    with pytest.warns(SuperposeWarning, match="one weight under two names"):
        total = superpose.load(paths[0]) + superpose.load(paths[1])
    superpose.save(total, tmp_path / "sum.safetensors")
    written = load_file(tmp_path / "sum.safetensors")
    found = products(convert(written) if order == 1 and prefix else dict(written))
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        np.testing.assert_allclose(found[name], 2 * change, atol=1e-3)


@pytest.mark.parametrize("loader", sorted(set(LOADERS.values())))
def test_each_loader_that_makes_one_way_of_another_is_diffusers(loader: str) -> None:
    assert hasattr(loader_of(loader), "lora_state_dict")


@pytest.mark.filterwarnings("ignore:nothing shows that")
def test_what_is_no_part_of_the_tables_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """FLUX.1's last modulation, whose halves diffusers swaps, and FLUX.2's, where it does not."""
    modules = {"double_blocks.0.img_attn.proj": (16, 16), "final_layer.linear": (4, 16)}
    native = factors({f"diffusion_model.{n}": s for n, s in modules.items()}, 1, ends=DOWN_UP)
    more = {"diffusion_model.final_layer.adaLN_modulation.1": (32, 16)}
    own = saved(native | factors(more, 2, ends=DOWN_UP), tmp_path / "own.safetensors")
    other = factors({"transformer.transformer_blocks.0.attn.to_q": (16, 16)}, 3)
    other_path = saved(other, tmp_path / "other.safetensors")
    a, b = superpose.load(own), superpose.load(other_path)
    with pytest.raises(Refused, match=r"adaLN_modulation.1` of .* superpose does not") as caught:
        _ = a + b
    converted = tmp_path / "converted.safetensors"
    follow(str(caught.value), own, converted)
    expected = products(loader_of("Flux").lora_state_dict(load_file(own)))
    own_changes = {n: dense(d.terms) for n, d in superpose.load(converted).items()}
    assert len(own_changes) == len(expected) == 3


@pytest.mark.filterwarnings("ignore:nothing shows that")
def test_a_third_file_whose_names_tell_no_family_keeps_them(tmp_path: Path) -> None:
    """Where the model's own names become diffusers', which it has already."""
    files = [
        factors({"diffusion_model.double_blocks.0.img_attn.proj": (16, 16)}, 1, ends=DOWN_UP),
        factors({"transformer.transformer_blocks.0.attn.to_q": (16, 16), LAST: (32, 16)}, 2),
        factors({LAST: (32, 16), EMBEDDER: (16, 8)}, 3),
    ]
    paths = [saved(each, tmp_path / f"{n}.safetensors") for n, each in enumerate(files)]
    for order in itertools.permutations(paths):
        with pytest.warns(SuperposeWarning, match="one weight under two names"):
            total = exact_sum([superpose.load(path) for path in order])
        assert {*total} == {
            "transformer.transformer_blocks.0.attn.to_out.0",
            "transformer.transformer_blocks.0.attn.to_q",
            EMBEDDER,
            LAST,
        }


@pytest.mark.filterwarnings("ignore:nothing shows that")
def test_lumina2s_own_names_are_refused_with_the_way_out(tmp_path: Path) -> None:
    """Its keys and values have fewer heads than its queries: diffusers knows how many rows."""
    block = {
        "attention.qkv": (2304 + 2 * 768, 8), "attention.out": (8, 2304),
        "adaLN_modulation.1": (8, 8),
        **{f"feed_forward.w{i}": (8, 8) for i in (1, 2, 3)},
    }  # fmt: skip
    names = {f"diffusion_model.layers.0.{n}": s for n, s in block.items()}
    own = saved(factors(names, 1), tmp_path / "own.safetensors")
    other = factors({"transformer.layers.0.attn.to_q": (2304, 8)}, 2)
    b = superpose.load(saved(other, tmp_path / "other.safetensors"))
    with pytest.raises(Refused, match="called in two ways") as caught:
        _ = superpose.load(own) + b
    follow(str(caught.value), own, tmp_path / "converted.safetensors")
    a = superpose.load(tmp_path / "converted.safetensors")
    assert "transformer.layers.0.attn.to_q" in a
    assert len(a + b) == len(a)


def sd3_checkpoint(d: int) -> dict[str, torch.Tensor]:
    """A checkpoint of Stable Diffusion 3's own names: two blocks, values at random."""
    generator = torch.Generator().manual_seed(1)
    shapes: dict[str, tuple[int, ...]] = {
        "x_embedder.proj": (d, 4, 2, 2),
        "context_embedder": (d, 6),
    }
    for name in ("t_embedder.mlp.0", "t_embedder.mlp.2", "y_embedder.mlp.0", "y_embedder.mlp.2"):
        shapes[name] = (d, d)
    for i, side in itertools.product((0, 1), ("x_block", "context_block")):
        stem = f"joint_blocks.{i}.{side}"
        last = i == 1 and side == "context_block"
        shapes[f"{stem}.attn.qkv"] = (3 * d, d)
        shapes[f"{stem}.adaLN_modulation.1"] = ((2 if last else 6) * d, d)
        if not last:
            shapes |= {f"{stem}.attn.proj": (d, d), f"{stem}.mlp.fc1": (4 * d, d)}
            shapes[f"{stem}.mlp.fc2"] = (d, 4 * d)
    shapes |= {"joint_blocks.0.x_block.attn2.qkv": (3 * d, d), "final_layer.linear": (4, d)}
    shapes |= {
        "joint_blocks.0.x_block.attn2.proj": (d, d),
        "final_layer.adaLN_modulation.1": (2 * d, d),
    }
    found = {f"{n}.weight": torch.randn(s, generator=generator) for n, s in shapes.items()}
    found |= {f"{n}.bias": torch.randn(s[0], generator=generator) for n, s in shapes.items()}
    return found | {"pos_embed": torch.zeros(1, 4, d)}


def test_stable_diffusion_3s_own_names_are_what_diffusers_makes_of_a_checkpoint() -> None:
    checkpoint = sd3_checkpoint(8)
    converted = convert_sd3_transformer_checkpoint_to_diffusers(dict(checkpoint))
    told = 0
    for name, weight in checkpoint.items():
        module = name.removesuffix(".weight")
        if not name.endswith(".weight") or not module.startswith("joint_blocks"):
            continue
        pieces = translated("joint", module.replace(".", "_"), (weight.shape[0], weight.shape[1]))
        if pieces is None:
            assert module == "joint_blocks.1.context_block.adaLN_modulation.1"  # halves swapped
            continue
        for piece in pieces:
            first, end = piece.rows or (0, len(weight))
            assert torch.equal(converted[f"{piece.name}.weight"], weight[first:end]), name
            told += 1
    assert told == 3 * 5 + 3 + 1 + 3 + 3 + 3
