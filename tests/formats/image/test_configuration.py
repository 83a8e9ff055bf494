"""PEFT's configuration in a diffusers file's metadata, where it contradicts or is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import superpose
from superpose.errors import BadInput, Refused, SuperposeWarning


def with_configuration(path: Path, **fields: Any) -> Path:
    tensors = {
        "unet.x.to_q.lora_A.weight": torch.ones(2, 4),
        "unet.x.to_q.lora_B.weight": torch.ones(4, 2),
    }
    named = {f"unet.{name}": value for name, value in fields.items()}
    save_file(tensors, path, {"lora_adapter_metadata": json.dumps(named)})
    return path


def test_a_configuration_that_contradicts_the_tensors_is_bad_input(tmp_path: Path) -> None:
    path = with_configuration(tmp_path / "a.safetensors", r=8, lora_alpha=8)
    with pytest.raises(BadInput, match=r"`unet.x.to_q` has rank 2, but .* says 8"):
        superpose.load(path)


def test_a_configuration_with_dora_is_refused_by_name(tmp_path: Path) -> None:
    path = with_configuration(tmp_path / "a.safetensors", r=2, use_dora=True)
    with pytest.raises(Refused, match="DoRA"):
        superpose.load(path)


def test_a_bias_that_the_configuration_does_not_announce_is_bad_input(tmp_path: Path) -> None:
    """Diffusers makes its layers by the configuration, and finds no place for it."""
    path = with_configuration(tmp_path / "a.safetensors", r=2)
    tensors = load_file(path) | {"unet.x.to_q.lora_B.bias": torch.ones(4)}
    for announced in (False, True):
        fields = {"unet.r": 2, "unet.lora_alpha": 2, "unet.lora_bias": announced}
        save_file(tensors, path, {"lora_adapter_metadata": json.dumps(fields)})
        if announced:
            assert set(superpose.load(path)) == {"unet.x.to_q", "unet.x.to_q.bias"}
        else:
            with pytest.raises(BadInput, match=r"to_q\.lora_B\.bias` is a bias of B"):
                superpose.load(path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"unet.r": "two"}', '{"unet.r": 1e400}', "[" * 9**5]
)
def test_a_configuration_that_is_none_is_bad_input(tmp_path: Path, text: str) -> None:
    tensors = {"unet.x.lora_A.weight": torch.ones(2, 4), "unet.x.lora_B.weight": torch.ones(4, 2)}
    save_file(tensors, tmp_path / "a.safetensors", {"lora_adapter_metadata": text})
    with pytest.raises(BadInput, match=r"a\.safetensors"):
        superpose.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "field", ["use_bdlora", "use_qalora", "target_parameters", "modules_to_save"]
)
def test_a_configuration_of_more_than_up_and_down_is_refused_by_name(
    tmp_path: Path, field: str
) -> None:
    value = {"use_bdlora": {"nblocks": 2}, "use_qalora": True}.get(field, ["x"])
    path = with_configuration(tmp_path / "a.safetensors", r=2, **{field: value})
    with pytest.raises(Refused, match=f"`{field}` is set"):
        superpose.load(path)


def test_another_type_of_adapter_is_refused_by_name(tmp_path: Path) -> None:
    path = with_configuration(tmp_path / "a.safetensors", r=2, peft_type="LOKR")
    with pytest.raises(Refused, match="it is of type LOKR"):
        superpose.load(path)


def test_an_unknown_key_is_refused_until_it_is_said_to_be_harmless(tmp_path: Path) -> None:
    path = with_configuration(tmp_path / "a.safetensors", r=2, lora_alpha=6, new_field=1)
    with pytest.raises(Refused, match="`new_field` is unknown"):
        superpose.load(path)
    adapter = superpose.load(path, ignore_keys=["new_field"])
    assert adapter["unet.x.to_q"].terms[0].coefficient == 3.0


def test_a_pattern_that_could_be_asked_for_ever_is_bad_input(tmp_path: Path) -> None:
    bomb = {"(.*)*(.*)*(.*)*z": 2}
    path = with_configuration(tmp_path / "a.safetensors", r=2, rank_pattern=bomb)
    with pytest.raises(BadInput, match=r"rank_pattern"):
        superpose.load(path)


def test_keys_that_contend_for_a_module_are_said(tmp_path: Path) -> None:
    """PEFT takes the first, and diffusers sorts them when it saves."""
    contending = {"to_q": 4, "x.to_q": 8}
    path = with_configuration(tmp_path / "a.safetensors", r=2, alpha_pattern=contending)
    with pytest.warns(SuperposeWarning, match="several keys of alpha_pattern match"):
        adapter = superpose.load(path)
    assert adapter["unet.x.to_q"].terms[0].coefficient == 2.0
