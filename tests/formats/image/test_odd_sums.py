"""Image LoRAs whose names no loader knows together, and factors padded with zeros."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose
from superpose.adapter import Adapter, Part, Replacement, Stored
from superpose.errors import Refused, SuperposeWarning
from superpose.lowrank import dense

from .conftest import WriteLora

Q = "transformer_blocks_0_attn_to_q"
TEXT = "text_model_encoder_layers_0_mlp_fc1"


def lokr(path: Path, *modules: str) -> Adapter:
    """LoKrs of whole matrices, so that alpha is none."""
    rng, tensors = np.random.default_rng(0), {}
    for module in modules:
        for name, size in (("lokr_w1", 4), ("lokr_w2", 8)):
            tensors[f"{module}.{name}"] = rng.normal(size=(size, size)).astype(np.float32)
        tensors[f"{module}.alpha"] = np.array(1e10, np.float32)
    save_file(tensors, path)
    return superpose.load(path)


def test_a_sum_of_lokrs_is_written_under_names_of_all_its_models(tmp_path: Path) -> None:
    one = lokr(tmp_path / "a.safetensors", f"lycoris_{Q}", f"lora_te1_{TEXT}")
    words = "does not find one as `lycoris_.*`: it is written as `transformer.transformer_blocks.0"
    with pytest.warns(SuperposeWarning, match=words):
        superpose.save(one + one, tmp_path / "sum.safetensors")
    found = superpose.load(tmp_path / "sum.safetensors")
    names = {
        "transformer.transformer_blocks.0.attn.to_q": f"lycoris_{Q}",
        "text_encoder.text_model.encoder.layers.0.mlp.fc1": f"lora_te1_{TEXT}",
    }
    assert found.keys() == names.keys()
    for name, before in names.items():
        right = 2 * np.asarray(dense(one[before].terms), np.float64)
        off = np.linalg.norm(dense(found[name].terms) - right)
        assert off <= 1e-5 * np.linalg.norm(right)


def test_a_sum_of_lokrs_with_a_word_whose_dots_are_not_told_keeps_its_names(tmp_path: Path) -> None:
    modules = {f"lycoris_{Q}", "lycoris_some_odd_word_proj"}
    one = lokr(tmp_path / "a.safetensors", *modules)
    superpose.save(one + one, tmp_path / "sum.safetensors")
    assert set(superpose.load(tmp_path / "sum.safetensors")) == modules


def test_one_unet_called_in_two_ways_is_not_written(tmp_path: Path, write_lora: WriteLora) -> None:
    ways = ("lora_unet_down_blocks_1_attentions_0_proj_in", "lora_unet_input_blocks_7_1_proj_in")
    two = superpose.load(write_lora("two", modules=tuple((way, 8, 8, ()) for way in ways)))
    with pytest.raises(Refused, match=r"two: calls one UNet's modules in two ways, lora_unet_in"):
        superpose.save(two, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_what_is_stored_absolutely_is_no_image_lora(tmp_path: Path, write_lora: WriteLora) -> None:
    own = Part(1.0, Stored(np.ones((4, 8), np.float32)))
    head = {"lm_head.weight": Replacement((own,), "lm_head.weight", owner="lm_head")}
    some = replace(superpose.load(write_lora("a")), replacements=head)
    with pytest.raises(Refused, match="holds tensors that are stored absolutely; an image LoRA"):
        superpose.save(some, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_ranks_of_zeros_are_left_out_where_each_module_has_its_own(
    tmp_path: Path, write_lora: WriteLora
) -> None:
    """Files of one rank are padded; what is zero in both factors adds nothing."""
    path = write_lora("padded", rank=4, alpha=4.0)
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if "lora_down" in name:
            tensor[2:] = 0.0
        elif "lora_up" in name:
            tensor[:, 2:] = 0.0
    save_file(tensors, path)
    before = superpose.load(path)
    assert superpose.save(before, tmp_path / "lean.safetensors", compact=True).rank == 2
    after = superpose.load(tmp_path / "lean.safetensors")
    for name, delta in before.items():
        np.testing.assert_array_equal(dense(after[name].terms), dense(delta.terms))
