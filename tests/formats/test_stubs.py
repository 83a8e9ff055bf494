"""A tensor that holds nothing was trained and lost: it is refused wherever in a file it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose
from superpose.errors import BadInput, Refused, SuperposeWarning

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

Q = "model.layers.0.self_attn.q_proj"
PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "factor A": (f"{Q}.lora_A.weight", {}),
    "factor B": (f"{Q}.lora_B.weight", {}),
    "embedding": ("model.embed_tokens.lora_embedding_A", {}),
    "bias of B": (f"{Q}.lora_B.bias", {"lora_bias": True}),
    "bias": (f"{Q}.bias", {"bias": "all"}),
    "saved whole": ("lm_head.weight", {"modules_to_save": ["lm_head"]}),
    "saved whole by its wrapper": ("score.modules_to_save.weight", {"modules_to_save": ["score"]}),
    "head of the task": ("score.weight", {"task_type": "SEQ_CLS"}),
    "rows": (
        "model.embed_tokens.token_adapter.trainable_tokens_delta",
        {"trainable_token_indices": [1]},
    ),
    "magnitude": (f"{Q}.lora_magnitude_vector", {"use_dora": True}),
    "resized embedding": ("model.embed_tokens.weight", {}),
    "base layer": ("lm_head.base_layer.weight", {}),
}


@pytest.mark.parametrize("shape", [(0,), (0, 16), (8, 0)], ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_a_stub_is_refused_by_name_with_the_way_to_gather_it(
    place: str, shape: tuple[int, ...], write_adapter: WriteAdapter
) -> None:
    name, settings = PLACES[place]
    folder = write_adapter("a", **settings)
    path, name = folder / "adapter_model.safetensors", f"base_model.model.{name}"
    save_file({**load_file(path), name: np.zeros(shape, np.float32)}, path)
    with pytest.raises(BadInput, match="which holds no values") as caught:
        superpose.load(folder, dora=True) if "dora" in str(settings) else superpose.load(folder)
    assert f"`{name}` has shape {shape}" in str(caught.value)
    assert str(path) in str(caught.value)
    for way in ("stage3_gather_16bit_weights_on_model_save", "zero_to_fp32.py"):
        assert way in str(caught.value)


@pytest.mark.parametrize("kind", ["LOHA", "LOKR", "ADALORA"])
def test_the_other_types_of_peft_hold_no_stub_either(kind: str, tmp_path: Path) -> None:
    made = {
        "LOHA": {f"hada_w{i}_{s}": (4, 2) if s == "a" else (2, 4) for i in (1, 2) for s in "ab"},
        "LOKR": {"lokr_w1": (2, 2), "lokr_w2": (2, 2)},
        "ADALORA": {"lora_A": (2, 4), "lora_B": (4, 2), "lora_E": (2, 1)},
    }[kind]
    tensors = {f"base_model.model.{Q}.{r}": np.ones(s, np.float32) for r, s in made.items()}
    save_file(
        {**tensors, "base_model.model.score.weight": np.zeros((0, 4), np.float32)},
        tmp_path / "adapter_model.safetensors",
    )
    config = {"peft_type": kind, "r": 2, "init_r": 2, "alpha": 2, "modules_to_save": ["score"]}
    if kind != "ADALORA":
        del config["init_r"]
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match=r"score\.weight` has shape \(0, 4\), which holds no values"):
        superpose.load(tmp_path)


def test_an_image_lora_holds_no_stub_either(tmp_path: Path) -> None:
    name = "lora_unet_down_blocks_0_attentions_0_proj_in"
    tensors = {
        f"{name}.lora_down.weight": np.ones((2, 4), np.float32),
        f"{name}.lora_up.weight": np.zeros((0, 2), np.float32),
    }
    save_file(tensors, tmp_path / "ink.safetensors")
    with pytest.raises(BadInput, match="which holds no values"):
        superpose.load(tmp_path / "ink.safetensors")


@pytest.mark.parametrize("shape", [(1, 4, 16), (0,)], ids=str)
def test_the_experts_of_tinker_are_named_as_such_even_where_a_placeholder_stands(
    shape: tuple[int, ...], write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a")
    path = folder / "adapter_model.safetensors"
    more = {
        f"base_model.model.model.layers.0.mlp.experts.w3.lora_{side}.weight": np.zeros(
            shape, np.float32
        )
        for side in "AB"
    }
    save_file({**load_file(path), **more}, path)
    with pytest.raises(Refused, match="Tinker's factors of all experts") as caught:
        superpose.load(folder)
    assert "build_lora_adapter" in str(caught.value)


def test_a_module_that_was_to_be_saved_and_is_not_there_is_said_to_be_lost(
    write_adapter: WriteAdapter,
) -> None:
    lost = {
        "head": {"modules_to_save": ["lm_head"]},
        "both": {"task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"]},
        "rows": {"trainable_token_indices": {"embed_tokens": [1, 2]}},
    }
    for name, settings in lost.items():
        with pytest.warns(SuperposeWarning, match="it is lost, and the base model's own counts"):
            superpose.load(write_adapter(name, **settings))


def test_of_the_heads_that_a_task_names_one_is_enough(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a", task_type="SEQ_CLS", modules_to_save=["classifier", "score"])
    path = folder / "adapter_model.safetensors"
    head = {"base_model.model.score.weight": np.ones((2, 8), np.float32)}
    save_file({**load_file(path), **head}, path)
    assert list(superpose.load(folder).replacements) == ["score.weight"]


def test_the_output_layer_of_tinker_is_the_models_own(write_adapter: WriteAdapter) -> None:
    tinker = write_adapter("tinker", modules=("model.unembed_tokens", Q))
    plain = write_adapter("plain", modules=("lm_head", Q))
    with pytest.warns(SuperposeWarning, match="is read as `lm_head`"):
        found = superpose.load(tinker)
    assert set(found) == {"lm_head", Q}
    assert found.cosine(superpose.load(plain)) == pytest.approx(1.0)
