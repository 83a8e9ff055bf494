"""Adapters over a base that bitsandbytes has quantised, as QLoRA trains them.

Runs where bitsandbytes is installed, which `make test-quantised` does: it slows every import of
PEFT down, so the other tests go without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from tests.formats.kinds import SMALL, quietly, seeded
from tests.in_peft.loaded import BOTH, WEIGHTS, saved

from superpose.errors import Refused
from superpose.peft import add_weighted_adapter

BITS: dict[str, dict[str, Any]] = {
    "four": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "eight": {"load_in_8bit": True},
}


def wide() -> Any:
    """A base of whole blocks of 64 values, as the four-bit kernels take them."""
    sizes = SMALL | {"hidden_size": 64, "intermediate_size": 128}
    return seeded(transformers.LlamaForCausalLM, transformers.LlamaConfig(**sizes))


@pytest.fixture(scope="module")
def wide_pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    targets = {"target_modules": ["q_proj", "v_proj"]}
    settings = [targets, {"use_rslora": True, "r": 6, **targets}]
    return saved(tmp_path_factory.mktemp("wide"), wide, settings)


@pytest.fixture(params=sorted(BITS))
def quantised(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The base of all tests here, quantised when it is loaded."""
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes: make test-quantised")
    wide().save_pretrained(tmp_path / "base")
    settings = transformers.BitsAndBytesConfig(
        **BITS[request.param], bnb_4bit_compute_dtype=torch.float32
    )
    return transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "base", dtype=torch.float32, quantization_config=settings
    )


def loaded(base: Any, adapters: list[Path]) -> Any:
    model = peft.PeftModel.from_pretrained(base, adapters[0], adapter_name=BOTH[0])
    model.load_adapter(adapters[1], adapter_name=BOTH[1])
    return model


def change(model: Any, name: str, x: torch.Tensor) -> torch.Tensor:
    """What an adapter adds to a layer's output; the quantised layer's own noise is in neither."""
    model.set_adapter(name)
    layer = model.get_base_model().model.layers[0].self_attn.q_proj
    with torch.no_grad():
        return torch.as_tensor(layer(x) - layer.base_layer(x))


@quietly
def test_the_sum_over_a_quantised_base_is_the_sum(quantised: Any, wide_pair: list[Path]) -> None:
    model = loaded(quantised, wide_pair)
    layer = model.get_base_model().model.layers[0].self_attn.q_proj
    assert layer.base_layer.weight.dtype in (torch.uint8, torch.int8)
    x = torch.randn(5, layer.in_features)
    right = sum(w * change(model, name, x) for w, name in zip(WEIGHTS, BOTH, strict=True))
    before = layer.base_layer.weight.clone()  # packed anew when it was first used
    assert add_weighted_adapter(model, BOTH, WEIGHTS, "both").exact
    assert torch.equal(layer.base_layer.weight, before)
    assert (change(model, "both", x) - right).norm() < 1e-5 * torch.as_tensor(right).norm()


@quietly
def test_dora_needs_weights_that_rounding_has_changed(quantised: Any, tmp_path: Path) -> None:
    settings = {"use_dora": True, "target_modules": ["q_proj"]}
    model = loaded(quantised, saved(tmp_path, wide, [settings, settings]))
    with pytest.raises(Refused, match="is quantised in the loaded base model") as refused:
        add_weighted_adapter(model, BOTH, WEIGHTS, "both", rank=4)
    assert "superpose bake" in str(refused.value)
