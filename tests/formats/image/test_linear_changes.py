"""Changes that loaders apply and that come in rare dress: read, added, found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.loaders.lora_pipeline import (
    Flux2LoraLoaderMixin,
    FluxLoraLoaderMixin,
    WanLoraLoaderMixin,
)
from safetensors.torch import load_file, save_file
from tests.pasted import follow

import superpose as sp
from superpose.errors import BadInput, Refused

Tensors = dict[str, torch.Tensor]


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(hash((seed, *shape))))


def pair(module: str, seed: int, out: int = 16, *, ends: tuple[str, str] = ("A", "B")) -> Tensors:
    return {
        f"{module}.lora_{ends[0]}.weight": random(4, 16, seed=seed),
        f"{module}.lora_{ends[1]}.weight": random(out, 4, seed=seed + 1),
    }


def products(state: Tensors) -> dict[str, np.ndarray]:
    """B A of each module, as a loader's state dict says it."""
    found = {}
    for name, tensor in state.items():
        if name.endswith(".lora_A.weight"):
            up = state[name.replace("lora_A", "lora_B")].double()
            found[name.removesuffix(".lora_A.weight")] = (up @ tensor.double()).numpy()
    return found


def assert_sum(loader: Any, a: Path, b: Path, total: Path, weight: float) -> None:
    """The loader makes of the sum what it makes of the parents, added."""
    first, second, found = (products(loader.lora_state_dict(load_file(p))) for p in (a, b, total))
    assert found.keys() == first.keys() | second.keys()
    for name, value in found.items():
        expected = first.get(name, 0.0) + weight * second.get(name, 0.0)
        np.testing.assert_allclose(value, expected, atol=1e-5)


# Wan's modulation.


def wan(path: Path, seed: int) -> Path:
    tensors: Tensors = {}
    for module in (
        *(f"self_attn.{x}" for x in "qkvo"),
        *(f"cross_attn.{x}" for x in "qkvo"),
        "ffn.0",
        "ffn.2",
    ):
        tensors |= pair(f"diffusion_model.blocks.0.{module}", seed)
    tensors["diffusion_model.blocks.0.diff_m"] = random(1, 6, 16, seed=seed)
    save_file(tensors, path)
    return path


def test_wans_modulation_is_added_and_written_in_its_own_shape(tmp_path: Path) -> None:
    a, b = (wan(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2))
    sp.save(sp.load(a) - 0.5 * sp.load(b), tmp_path / "sum.safetensors")
    name = "diffusion_model.blocks.0.diff_m"
    first, second, found = (load_file(p)[name] for p in (a, b, tmp_path / "sum.safetensors"))
    torch.testing.assert_close(found, first - 0.5 * second)
    assert_sum(WanLoraLoaderMixin, a, b, tmp_path / "sum.safetensors", -0.5)
    again = sp.load(tmp_path / "sum.safetensors")
    assert (again - sp.load(a) + 0.5 * sp.load(b)).norm() <= 1e-5 * again.norm()


def test_a_modulation_counts_in_figures_and_is_whole_at_any_rank(tmp_path: Path) -> None:
    a = sp.load(wan(tmp_path / "a.safetensors", 1))
    change = load_file(tmp_path / "a.safetensors")["diffusion_model.blocks.0.diff_m"]
    own = a["diffusion_model.blocks.0.modulation"]
    assert a.cosine(a) == pytest.approx(1.0)
    assert own.shape == (6 * 16, 1)
    sp.save(a.compress(2), tmp_path / "small.safetensors")
    small = load_file(tmp_path / "small.safetensors")
    torch.testing.assert_close(small["diffusion_model.blocks.0.diff_m"], change)


@pytest.mark.parametrize("shape", [(6, 16), (2, 6, 16), (1, 0, 16), (16,)])
def test_a_modulation_of_another_shape_is_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "a.safetensors"
    wrong = {"diffusion_model.blocks.0.diff_m": torch.ones(shape)}
    save_file(pair("diffusion_model.blocks.0.ffn.0", 1) | wrong, path)
    with pytest.raises(BadInput, match=r"blocks\.0\.diff_m"):
        sp.load(path)


# One file of PEFT's names.


def flux2(path: Path, seed: int, wrapper: str = "base_model.model.") -> Path:
    tensors = pair(f"{wrapper}double_blocks.0.img_attn.proj", seed)
    tensors |= pair(f"{wrapper}double_blocks.0.img_attn.qkv", seed + 3, 48)
    save_file(tensors, path)
    return path


def test_one_file_of_pefts_names_is_added_as_diffusers_reads_it(tmp_path: Path) -> None:
    a, b = (flux2(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2))
    sp.save(sp.load(a) - 2 * sp.load(b), tmp_path / "sum.safetensors")
    assert_sum(Flux2LoraLoaderMixin, a, b, tmp_path / "sum.safetensors", -2.0)


def test_a_language_models_weights_without_configuration_stay_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file(pair("base_model.model.model.layers.0.self_attn.q_proj", 1), path)
    with pytest.raises(BadInput, match=r"no adapter_config\.json lies beside it"):
        sp.load(path)


def test_a_configuration_beside_tells_the_scale(tmp_path: Path) -> None:
    """Alpha / r = 3: the file is a PEFT folder's then, and loaders of one file would drop it."""
    path = flux2(tmp_path / "flux2.safetensors", 1)
    alone = sp.load(path).norm()
    (tmp_path / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 4, "lora_alpha": 12, "target_modules": ["proj", "qkv"]}'
    )
    assert sp.load(path).norm() == pytest.approx(3 * alone)


# What is refused, and where it leads.


def xlabs(path: Path, seed: int) -> Path:
    tensors = {}
    for part, out in (("qkv", 48), ("proj", 16)):
        for j in (1, 2):
            module = f"double_blocks.0.processor.{part}_lora{j}"
            tensors[f"{module}.down.weight"] = random(4, 16, seed=seed + j)
            tensors[f"{module}.up.weight"] = random(out, 4, seed=seed + j)
    save_file(tensors, path)
    return path


def test_xlabs_files_are_converted_by_the_printed_command_and_then_added(tmp_path: Path) -> None:
    a, b = (xlabs(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 20))
    converted = []
    for path in (a, b):
        with pytest.raises(Refused, match="XLabs' spelling") as caught:
            sp.load(path)
        new = path.with_stem(f"{path.stem}-new")
        follow(str(caught.value), path, new)
        converted.append(sp.load(new))
    sp.save(converted[0] - converted[1], tmp_path / "sum.safetensors")
    assert_sum(FluxLoraLoaderMixin, a, b, tmp_path / "sum.safetensors", -1.0)


def test_a_dora_is_merged_by_diffusers_and_extracted_as_the_message_says(tmp_path: Path) -> None:
    """Its change is of full rank here, so that the extracted rank keeps all of it."""
    from .tiny import unet

    base = unet()
    for parameter in base.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.numel()))
    base.save_pretrained(tmp_path / "base")
    import peft

    config = peft.LoraConfig(r=2, target_modules=["to_q"], use_dora=True, init_lora_weights=False)
    base.add_adapter(config)
    for name, parameter in base.named_parameters():
        if "magnitude" in name:
            parameter.data *= 1.5
    base.save_lora_adapter(tmp_path / "dora")
    with pytest.raises(Refused, match="DoRA rescales") as caught:
        sp.load(tmp_path / "dora" / "pytorch_lora_weights.safetensors")
    assert "merge it there" in str(caught.value)
    assert "superpose extract BASE MERGED --rank 64" in str(caught.value)
    base.fuse_lora()
    base.unload_lora()
    base.save_pretrained(tmp_path / "merged")
    found = sp.extract(tmp_path / "base", tmp_path / "merged", rank=64)
    assert found.energy_kept == pytest.approx(1.0)
    assert {name.rpartition(".")[2] for name in found.adapter} == {"to_q"}
