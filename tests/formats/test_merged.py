"""`enable_lora` of peft before 0.3: factors for some of the layers that lie in one weight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import superpose
from superpose.errors import BadInput

MODULE = "transformer.h.0.attn.c_attn"


def write(folder: Path, enabled: list[bool], groups: int, rank: int = 2, flat: bool = False) -> Any:
    """Write such a folder; give the delta that its forward pass computes, as a function of x.

    The layers are those of `MergedLinear` (peft 0.2.0): a linear one, then a convolution of width
    1 in groups, whose outputs go to the enabled parts of the whole output in order.
    """
    torch.manual_seed(3)
    parts, width, total = sum(enabled), 12, 8 * len(enabled)
    a = torch.nn.Linear(width, rank * parts, bias=False)
    b = torch.nn.Conv1d(rank * parts, 8 * parts, kernel_size=1, groups=groups, bias=False)
    where = torch.tensor([on for on in enabled for _ in range(8)])

    def forward(x: Any) -> Any:
        result = x.new_zeros((*x.shape[:-1], total))
        result[..., where] = b(a(x).transpose(-2, -1)).transpose(-2, -1)
        return result * (6 / rank)

    folder.mkdir()
    name = f"base_model.model.{MODULE}."
    weight = b.weight.detach()[..., 0] if flat else b.weight.detach()
    tensors = {f"{name}lora_A.weight": a.weight.detach(), f"{name}lora_B.weight": weight}
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 6, "target_modules": ["c_attn"]}
    config |= {"enable_lora": enabled, "merge_weights": False, "fan_in_fan_out": True}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return forward


@pytest.mark.parametrize(
    ("enabled", "groups"),
    [
        ([True, False, True], 2),  # of peft, which has two groups whatever is enabled
        ([False, True, True], 2),
        ([True, True, True], 3),  # as loralib, from which it came
        ([True], 2),
        ([True, True, True, True], 2),
    ],
)
def test_the_delta_is_what_the_layer_of_that_time_computes(
    enabled: list[bool], groups: int, oracle: Any, tmp_path: Path
) -> None:
    forward = write(tmp_path / "old", enabled, groups)
    adapter = superpose.load(tmp_path / "old")
    with torch.no_grad():
        right = forward(torch.eye(12)[None])[0].T.double().numpy()
    found = oracle.dense64(adapter[MODULE])
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)


def test_it_is_written_as_plain_lora_of_all_parts(oracle: Any, tmp_path: Path) -> None:
    write(tmp_path / "old", [True, False, True], 2)
    old = superpose.load(tmp_path / "old")
    superpose.save(old, tmp_path / "new")
    config = json.loads((tmp_path / "new/adapter_config.json").read_text())
    assert "enable_lora" not in config
    new = superpose.load(tmp_path / "new")
    np.testing.assert_allclose(oracle.dense64(new[MODULE]), oracle.dense64(old[MODULE]), rtol=1e-5)


@pytest.mark.parametrize("value", [[False, False], "yes", [1, 0], {"a": True}])
def test_a_list_that_enables_nothing_or_is_none_is_refused(value: Any, tmp_path: Path) -> None:
    write(tmp_path / "old", [True, False, True], 2)
    path = tmp_path / "old/adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "enable_lora": value}))
    with pytest.raises(BadInput, match="enable_lora is"):
        superpose.load(tmp_path / "old")


def test_factors_that_do_not_fit_the_enabled_parts_are_named(tmp_path: Path) -> None:
    write(tmp_path / "old", [True, False, True], 2)
    path = tmp_path / "old/adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "enable_lora": [True] * 3}))
    with pytest.raises(BadInput, match=r"rank 2 for 3 of 3 parts \(enable_lora\)"):
        superpose.load(tmp_path / "old")
    weights = tmp_path / "old/adapter_model.safetensors"
    tensors = load_file(weights)
    name = f"base_model.model.{MODULE}.lora_B.weight"
    save_file({**tensors, name: torch.ones(9, 2, 1)}, weights)
    path.write_text(json.dumps({**json.loads(path.read_text()), "enable_lora": [True, True]}))
    with pytest.raises(BadInput, match="does not divide into its groups"):
        superpose.load(tmp_path / "old")
