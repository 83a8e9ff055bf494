"""Biases of B (lora_bias) and the configuration that announces them, as PEFT loads both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from tests.formats.kinds import changes, make, opt, quietly

import superpose
from superpose.errors import BadInput, SuperposeWarning

BIAS = "model.decoder.layers.0.self_attn.q_proj.bias"


def told(folder: Path, value: Any) -> None:
    """Write lora_bias; without a value the field is left out, as before PEFT 0.14."""
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text()) | {"lora_bias": value}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


@quietly
@pytest.mark.parametrize("value", [False, None, ...], ids=["false", "null", "absent"])
def test_a_bias_that_is_not_announced_is_damage_because_peft_passes_it_over(
    tmp_path: Path, value: Any
) -> None:
    make(tmp_path / "a", opt(), {"lora_bias": True}, 0)
    announced = changes(opt(), tmp_path / "a")[BIAS]
    told(tmp_path / "a", value)
    assert announced.any()
    assert not changes(opt(), tmp_path / "a")[BIAS].any()
    with pytest.raises(BadInput, match=r"q_proj\.lora_B\.bias` is a bias .* lora_bias") as caught:
        superpose.load(tmp_path / "a")
    # Both ways out, followed.
    assert "Set lora_bias to true" in str(caught.value)
    told(tmp_path / "a", True)
    assert BIAS in superpose.load(tmp_path / "a")
    told(tmp_path / "a", value)
    file = tmp_path / "a" / "adapter_model.safetensors"
    save_file({n: x for n, x in load_file(file).items() if "bias" not in n}, file)
    assert list(superpose.load(tmp_path / "a")) == [BIAS.replace(".bias", "")]


@quietly
def test_a_bias_that_is_announced_and_not_there_is_said(tmp_path: Path) -> None:
    make(tmp_path / "a", opt(), {}, 0)
    told(tmp_path / "a", True)
    assert not changes(opt(), tmp_path / "a")[BIAS].any()
    with pytest.warns(SuperposeWarning, match=r"hold no bias of `model\.decoder.*q_proj`"):
        assert len(superpose.load(tmp_path / "a")) == 1
