"""What fine-tuning did to a diffusers model, as a LoRA that diffusers itself adds to the base."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.loaders import FluxLoraLoaderMixin, StableDiffusionLoraLoaderMixin
from safetensors.torch import save_file

import superpose as sp
from superpose.errors import BadInput, DifferentBase, Refused


def unet() -> Any:
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        cross_attention_dim=12,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )


def flux() -> Any:
    return diffusers.FluxTransformer2DModel(
        in_channels=8,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        pooled_projection_dim=10,
        axes_dims_rope=(2, 2, 4),
        guidance_embeds=True,
    )


MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "unet": (unet, StableDiffusionLoraLoaderMixin),
    "transformer": (flux, FluxLoraLoaderMixin),
}


def tuned(make: Callable[[], Any], folder: Path, *, rank: int = 2, shard: str = "5GB") -> Any:
    """Write a model and its fine-tuned self, every linear layer changed; give the latter."""
    torch.manual_seed(0)
    model = make()
    model.save_pretrained(folder / "base", max_shard_size=shard)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            rows, columns = module.weight.shape
            left = torch.randn(rows, rank, generator=generator)
            module.weight.data += 0.1 * left @ torch.randn(rank, columns, generator=generator)
    model.save_pretrained(folder / "tuned", max_shard_size=shard)
    return model


@pytest.mark.parametrize("shard", ["5GB", "30KB"])
@pytest.mark.parametrize("component", MODELS)
def test_base_and_lora_loaded_by_diffusers_are_the_fine_tuned_model(
    tmp_path: Path, superpose: Any, component: str, shard: str
) -> None:
    make, pipeline = MODELS[component]
    model = tuned(make, tmp_path, shard=shard)
    assert (tmp_path / "base" / "diffusion_pytorch_model.safetensors").exists() == (shard == "5GB")
    out = tmp_path / "lora.safetensors"
    done = superpose(
        "extract", tmp_path / "base", tmp_path / "tuned", "-o", out, "--rank", 2, "--json"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["leftovers"] == []
    assert report["energy_kept"] == pytest.approx(1.0)
    # The pipeline's own reader knows the file, and the model's own loader adds it.
    state = pipeline.lora_state_dict(tmp_path, weight_name=out.name, local_files_only=True)
    state = state[0] if isinstance(state, tuple) else state
    assert {name.partition(".")[0] for name in state} == {component}
    loaded = type(model).from_pretrained(tmp_path / "base")
    loaded.load_lora_adapter(state, prefix=component)
    loaded.fuse_lora()
    loaded.unload_lora()
    for name, weight in model.state_dict().items():
        difference = (loaded.state_dict()[name] - weight).norm()
        assert difference <= 1e-5 * weight.norm() + 1e-7, name


def test_a_folder_gets_the_name_that_diffusers_looks_for(tmp_path: Path) -> None:
    tuned(flux, tmp_path)
    found = sp.extract(tmp_path / "base", tmp_path / "tuned", rank=2)
    written = sp.save(found.adapter, tmp_path / "out")
    assert [path.name for path in written.path.iterdir()] == ["pytorch_lora_weights.safetensors"]
    state = FluxLoraLoaderMixin.lora_state_dict(written.path, local_files_only=True)
    assert len(state) == 2 * len(found.modules)
    again = sp.load(written.path / "pytorch_lora_weights.safetensors")
    assert (again - found.adapter).norm() <= 1e-6 * again.norm()


def test_convolutions_norms_and_biases_that_changed_are_listed(tmp_path: Path) -> None:
    model = tuned(unet, tmp_path)
    model.conv_in.weight.data += 0.1
    model.conv_in.bias.data += 0.1
    model.save_pretrained(tmp_path / "tuned")
    found = sp.extract(tmp_path / "base", tmp_path / "tuned", rank=2)
    assert {(x.name, x.kind) for x in found.leftovers} == {
        ("conv_in.weight", "convolution"),
        ("conv_in.bias", "bias"),
    }


def test_targets_are_named_by_the_ends_of_diffusers_names(tmp_path: Path) -> None:
    tuned(flux, tmp_path)
    found = sp.extract(tmp_path / "base", tmp_path / "tuned", rank=2, targets=["to_q", "proj_out"])
    ends = {name.rpartition(".")[2] for name in found.adapter}
    assert ends == {"to_q", "proj_out"}


def test_what_is_no_single_model_is_refused_with_the_way_to_one(tmp_path: Path) -> None:
    """The hint's path is taken."""
    for side in ("base", "tuned"):
        (tmp_path / side).mkdir()
    tuned(flux, tmp_path / "made")
    for side in ("base", "tuned"):
        (tmp_path / "made" / side).rename(tmp_path / side / "transformer")
        (tmp_path / side / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(BadInput, match="is a pipeline of diffusers") as caught:
        sp.extract(tmp_path / "base", tmp_path / "tuned", rank=2)
    way_out = re.findall(r"\S+/base/transformer", str(caught.value))[0]
    assert sp.extract(way_out, way_out.replace("/base/", "/tuned/"), rank=2).modules


def test_another_class_and_a_model_without_loras_are_refused(tmp_path: Path) -> None:
    tuned(flux, tmp_path / "flux")
    tuned(unet, tmp_path / "unet")
    with pytest.raises(DifferentBase, match=r"FluxTransformer2DModel .* UNet2DConditionModel"):
        sp.extract(tmp_path / "unet" / "base", tmp_path / "flux" / "tuned", rank=2)
    (tmp_path / "vae").mkdir()
    save_file({"x.weight": torch.ones(2, 2)}, tmp_path / "vae/diffusion_pytorch_model.safetensors")
    (tmp_path / "vae" / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(Refused, match="is a AutoencoderKL, to which diffusers applies no LoRA"):
        sp.extract(tmp_path / "vae", tmp_path / "vae", rank=2)


def test_the_same_model_twice_is_told(tmp_path: Path) -> None:
    tuned(flux, tmp_path)
    with pytest.raises(BadInput, match="is the base model itself: no tensor differs"):
        sp.extract(tmp_path / "base", tmp_path / "base", rank=2)


def test_bake_names_what_reads_a_diffusers_model(tmp_path: Path, superpose: Any) -> None:
    tuned(flux, tmp_path)
    sp.save(sp.extract(tmp_path / "base", tmp_path / "tuned", rank=2).adapter, tmp_path / "lora")
    done = superpose(
        "bake", tmp_path / "base", tmp_path / "lora" / "pytorch_lora_weights.safetensors",
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 2
    assert "is a model of diffusers' (FluxTransformer2DModel)" in done.stderr
    assert not (tmp_path / "out").exists()
    assert np.isfinite(sp.load(tmp_path / "lora" / "pytorch_lora_weights.safetensors").norm())
