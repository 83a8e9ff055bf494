"""What is written is found by the loader that finds the parents: by alphas, names and metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.pasted import follow

import superpose
from superpose.errors import BadInput, SuperposeWarning
from superpose.lowrank import dense

from .families import changes_of, factors, linear_layers, loaded, model_of, saved
from .tiny import assert_same, own_changes, unet

FILE = "pytorch_lora_weights.safetensors"
TARGETS = ["to_q", "to_v", "to_out.0", "conv1", "ff.net.0.proj"]


def adapter_folder(folder: Path, seed: int, **options: Any) -> Path:
    """A folder of diffusers' own `save_lora_adapter`: no component anywhere."""
    model = unet()
    config = peft.LoraConfig(target_modules=TARGETS, **options)
    model.add_adapter(config, adapter_name="default")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(generator=generator)
    model.save_lora_adapter(folder)
    return folder


def by_load_lora_adapter(folder: Path) -> dict[str, np.ndarray]:
    model = unet()
    model.load_lora_adapter(folder, weight_name=FILE, prefix=None, local_files_only=True)
    return {n: c.reshape(c.shape[0], -1) for n, c in changes_of(model).items()}


OPTIONS: dict[str, dict[str, Any]] = {
    "alpha above rank": {"r": 2, "lora_alpha": 8},
    "alpha below rank": {"r": 4, "lora_alpha": 1},
    "patterns": {
        "r": 4,
        "lora_alpha": 8,
        "rank_pattern": {"to_q": 2},
        "alpha_pattern": {"to_v": 3},
    },
    "rslora": {"r": 4, "lora_alpha": 2, "use_rslora": True},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_file_of_save_lora_adapter_is_read_as_load_lora_adapter_reads_it(
    tmp_path: Path, case: str
) -> None:
    folder = adapter_folder(tmp_path / "a", 1, **OPTIONS[case])
    assert_same(own_changes(superpose.load(folder)), by_load_lora_adapter(folder))


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("case", OPTIONS)
def test_load_lora_adapter_reads_a_sum_of_such_files(
    tmp_path: Path, case: str, compact: bool
) -> None:
    a = adapter_folder(tmp_path / "a", 1, **OPTIONS[case])
    b = adapter_folder(tmp_path / "b", 2, r=3, lora_alpha=5)
    total = superpose.load(a) - 0.5 * superpose.load(b)
    superpose.save(total, tmp_path / "sum", compact=compact)
    first, second = by_load_lora_adapter(a), by_load_lora_adapter(b)
    expected = {name: change - 0.5 * second[name] for name, change in first.items()}
    assert_same(by_load_lora_adapter(tmp_path / "sum"), expected)


@pytest.mark.parametrize("prefix", ["unet.", "diffusion_model."])
def test_metadata_that_says_nothing_of_a_tensor_is_bad_input(tmp_path: Path, prefix: str) -> None:
    """One with a component and the other without, or with another: the alpha would be lost."""
    text = json.dumps({"r": 2, "lora_alpha": 8} if prefix == "unet." else {"unet.r": 2})
    path = saved(
        factors({f"{prefix}down_blocks.0.x": (4, 4)}, 1),
        tmp_path / "a.safetensors",
        lora_adapter_metadata=text,
    )
    with pytest.raises(BadInput, match=f"says nothing of `{prefix}down_blocks.0.x`"):
        superpose.load(path)


LOKR = {
    "LyCORIS": "lycoris_transformer_blocks_0_attn_to_q",
    "SimpleTuner": "transformer_blocks.0.attn.to_q",
    "ai-toolkit": "diffusion_model.double_blocks.0.img_attn.proj",
}


@pytest.mark.parametrize("spelling", LOKR)
def test_diffusers_finds_the_sum_of_lokrs(tmp_path: Path, spelling: str) -> None:
    """Each is known by `.lokr_`, which a sum has no more; whole matrices, so that alpha is none."""
    paths = []
    for seed in (1, 2):
        generator = torch.Generator().manual_seed(seed)
        tensors = {
            f"{LOKR[spelling]}.lokr_w1": torch.randn(4, 4, generator=generator),
            f"{LOKR[spelling]}.lokr_w2": torch.randn(8, 8, generator=generator),
            f"{LOKR[spelling]}.alpha": torch.tensor(1e10),
        }
        paths.append(saved(tensors, tmp_path / f"{seed}.safetensors"))
    total = superpose.load(paths[0]) - 0.5 * superpose.load(paths[1])
    if spelling == "ai-toolkit":
        superpose.save(total, tmp_path / "sum.safetensors")
    else:
        with pytest.warns(SuperposeWarning, match="it is written as `transformer.transformer_bl"):
            superpose.save(total, tmp_path / "sum.safetensors")
    first, second = (loaded("Flux2", path) for path in paths)
    found = loaded("Flux2", tmp_path / "sum.safetensors")
    assert len(found) == 1
    for name, change in found.items():
        np.testing.assert_allclose(change, first[name] - 0.5 * second[name], atol=1e-4)


def wan(seed: int) -> dict[str, torch.Tensor]:
    """As CausVid's and Lightx2v's: factors, biases, norms and one whole difference."""
    generator = torch.Generator().manual_seed(seed)
    block = "diffusion_model.blocks.0"
    tensors = factors(
        {f"{block}.{k}_attn.{x}": (24, 24) for k in ("self", "cross") for x in "qkvo"}, seed
    )
    tensors |= factors({f"{block}.ffn.0": (32, 24), f"{block}.ffn.2": (24, 32)}, seed + 10)
    for name, size in ((f"{block}.ffn.0", 32), (f"{block}.self_attn.q", 24)):
        tensors[f"{name}.diff_b"] = torch.randn(size, generator=generator)
    for name in ("norm3", "self_attn.norm_q"):
        tensors[f"{block}.{name}.diff"] = torch.randn(24, generator=generator)
    tensors[f"{block}.norm3.diff_b"] = torch.randn(24, generator=generator)
    tensors["diffusion_model.patch_embedding.diff"] = torch.randn(
        24, 4, 1, 2, 2, generator=generator
    )
    return tensors


def test_diffusers_reads_the_sum_of_wan_files_with_norms(tmp_path: Path) -> None:
    """It leaves out `.diff` of norms and what it does not know of `.diff`; else it stops."""
    paths = [saved(wan(seed), tmp_path / f"{seed}.safetensors") for seed in (1, 2)]
    superpose.save(
        superpose.load(paths[0]) - 0.5 * superpose.load(paths[1]), tmp_path / "sum.safetensors"
    )
    first, second = (loaded("Wan", path) for path in paths)
    found = loaded("Wan", tmp_path / "sum.safetensors")
    assert found.keys() == first.keys() == second.keys()
    assert any(name.endswith(".bias") for name in found)
    for name, change in found.items():
        np.testing.assert_allclose(change, first[name] - 0.5 * second[name], atol=1e-4)
    one, two, both = (load_file(path) for path in (*paths, tmp_path / "sum.safetensors"))
    for name in (n for n in one if ".diff" in n):
        torch.testing.assert_close(both[name], one[name] - 0.5 * two[name])


def test_a_compressed_whole_difference_is_factors(tmp_path: Path) -> None:
    torch.manual_seed(1)
    path = saved({"unet.conv_in.diff": torch.randn(8, 9)}, tmp_path / "a.safetensors")
    superpose.save(superpose.load(path).compress(2), tmp_path / "small.safetensors")
    assert load_file(tmp_path / "small.safetensors").keys() == {
        "unet.conv_in.lora_A.weight",
        "unet.conv_in.lora_B.weight",
    }


def peft_folder(folder: Path, modules: dict[str, tuple[int, int]]) -> Path:
    folder.mkdir()
    tensors = factors({f"base_model.model.{name}": shape for name, shape in modules.items()}, 5)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": [*modules]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_a_peft_folder_of_the_same_transformer_meets_a_diffusers_file(tmp_path: Path) -> None:
    """The folder's module names are the model's own, of which diffusers' file says more."""
    modules = {n: s for n, s in linear_layers("Flux").items() if n.endswith(("to_q", "proj_mlp"))}
    named = {f"transformer.{name}": shape for name, shape in modules.items()}
    file = saved(factors(named, 3), tmp_path / "a.safetensors")
    folder = peft_folder(tmp_path / "b", modules)
    a, b = superpose.load(file), superpose.load(folder)
    for total in (lambda: a - 0.5 * b, lambda: -0.5 * b + a):
        with pytest.warns(SuperposeWarning, match="one weight under two names"):
            superpose.save(total(), tmp_path / "sum.safetensors", force=True)
        first = loaded("Flux", file)
        model = peft.PeftModel.from_pretrained(model_of("Flux"), folder)
        second = changes_of(model.base_model.model)
        found = loaded("Flux", tmp_path / "sum.safetensors")
        assert found.keys() == first.keys() == second.keys()
        for name, change in found.items():
            np.testing.assert_allclose(change, first[name] - 0.5 * second[name], atol=1e-4)


@pytest.mark.filterwarnings("ignore:nothing shows that")
def test_a_peft_folder_of_a_text_encoder_is_refused_with_the_way_out(tmp_path: Path) -> None:
    module = "text_model.encoder.layers.0.self_attn.q_proj"
    file = saved(factors({f"text_encoder.{module}": (8, 8)}, 1), tmp_path / "a.safetensors")
    folder = peft_folder(tmp_path / "b", {module: (8, 8)})
    with pytest.raises(superpose.errors.Refused, match="no image LoRA, and no PEFT fol") as caught:
        _ = superpose.load(file) + superpose.load(folder)
    superpose.save(superpose.load(folder), tmp_path / "plain")
    new = tmp_path / "new.safetensors"
    follow(str(caught.value), tmp_path / "plain", new)
    a, b = superpose.load(file), superpose.load(new)
    (key,) = b
    np.testing.assert_allclose(
        dense(b[key].terms), dense(superpose.load(folder)[module].terms), rtol=1e-5
    )
    assert [*(a + b)] == [f"text_encoder.{module}"]
