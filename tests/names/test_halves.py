"""Models of two halves: what one half is called says nothing of the other, and nothing is moved."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from tests.names.families import changes, gemma3, linear, pair, product, write

import superpose
from superpose.adapter import Adapter
from superpose.baking.found import found_in, tree_of_base
from superpose.compose import exact_sum
from superpose.errors import Refused, SuperposeWarning
from superpose.files.checkpoint import Checkpoint

_VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 8, "patch_size": 4,
}  # fmt: skip
_BERT: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "vocab_size": 40,
}  # fmt: skip


def _blip() -> Any:
    text = {**_BERT, "encoder_hidden_size": 16, "projection_dim": 8, "bos_token_id": 1,
            "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 2}  # fmt: skip
    config = tf.BlipConfig(text_config=text, vision_config=_VISION, projection_dim=8)
    return tf.BlipForConditionalGeneration(config)


def _blip2() -> Any:
    text = {"model_type": "opt", "hidden_size": 16, "ffn_dim": 24, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 40, "word_embed_proj_dim": 16,
            "max_position_embeddings": 16}  # fmt: skip
    config = tf.Blip2Config(
        vision_config=_VISION, qformer_config={**_BERT, "encoder_hidden_size": 16},
        text_config=text, num_query_tokens=2, image_token_index=39,
    )  # fmt: skip
    return tf.Blip2ForConditionalGeneration(config)


def _encoder_decoder() -> Any:
    decoder = tf.BertConfig(**_BERT, is_decoder=True, add_cross_attention=True)
    return tf.VisionEncoderDecoderModel(
        tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(tf.ViTConfig(**_VISION), decoder)
    )


def _granite() -> Any:
    return tf.GraniteMoeHybridForCausalLM(
        tf.GraniteMoeHybridConfig(
            hidden_size=16, intermediate_size=24, shared_intermediate_size=24, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=2, vocab_size=40, num_local_experts=2,
            num_experts_per_tok=1, layer_types=["attention"], pad_token_id=0, mamba_n_heads=2,
        )
    )  # fmt: skip


def _distilbert() -> Any:
    return tf.DistilBertModel(
        tf.DistilBertConfig(dim=16, hidden_dim=24, n_layers=1, n_heads=2, vocab_size=40)
    )


# Each with a layer of one half and a layer of another, as the model itself calls them.
MODELS: dict[str, tuple[Callable[[], Any], tuple[str, str]]] = {
    "BLIP": (_blip, ("vision_model.encoder.layers.0.mlp.fc1",
                     "text_decoder.bert.encoder.layer.0.attention.self.query")),
    "BLIP-2": (_blip2, ("vision_model.encoder.layers.0.mlp.fc1",
                        "qformer.encoder.layer.0.attention.attention.query")),
    "BLIP-2's OPT": (_blip2, ("vision_model.encoder.layers.0.mlp.fc1",
                              "language_model.model.decoder.layers.0.fc1")),
    "a vision encoder and BERT": (_encoder_decoder, (
        "encoder.layers.0.mlp.fc1", "decoder.bert.encoder.layer.0.intermediate.dense")),
    "Granite's shared layers": (_granite, (
        "model.layers.0.shared_mlp.input_linear", "model.layers.0.self_attn.q_proj")),
    "DistilBERT without a head": (_distilbert, (
        "transformer.layer.0.attention.q_lin", "transformer.layer.0.ffn.lin1")),
}  # fmt: skip


@pytest.mark.parametrize("at_hand", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_names_that_are_the_models_own_stay_whatever_lies_beside_them(
    tmp_path: Path, kind: str, at_hand: bool
) -> None:
    make, names = MODELS[kind]
    torch.manual_seed(0)
    model = make().eval()
    model.save_pretrained(tmp_path / "base")
    base = Checkpoint.open(tmp_path / "base")
    for targets in (names, (names[0],), (names[1],)):
        folder = tmp_path / "-".join(target.replace(".", "_") for target in targets)
        _trained(model, targets, folder)
    adapters = [folder for folder in tmp_path.iterdir() if folder.name != "base"]
    alone = {folder: changes(model, folder) for folder in adapters}
    tree = tree_of_base(base) if at_hand else None
    for n, (one, other) in enumerate(itertools.product(adapters, repeat=2)):
        total = exact_sum([superpose.load(one), superpose.load(other)], [1.0, -0.5], tree=tree)
        superpose.save(total, tmp_path / f"sum-{n}")
        for parameter, change in changes(model, tmp_path / f"sum-{n}").items():
            right = alone[one][parameter] - 0.5 * alone[other][parameter]
            assert np.allclose(change, right, atol=1e-5), parameter
        assert not found_in(total, base, "base").missing


def _trained(model: Any, targets: tuple[str, ...], folder: Path) -> None:
    g = np.random.default_rng(len(targets[0]))
    factors = {name: pair(g, *model.get_submodule(name).weight.shape) for name in targets}
    tensors, config = linear(factors)
    write(folder, tensors, base_model_name_or_path="base", **config)


def _clip() -> Any:
    text = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 40, "max_position_embeddings": 16,
            "projection_dim": 8, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip
    vision = {**_VISION, "projection_dim": 8}
    return tf.CLIPModel(tf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))


def _qwen2_vl() -> Any:
    text = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 40,
            "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}  # fmt: skip
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "patch_size": 4}
    return tf.Qwen2VLForConditionalGeneration(
        tf.Qwen2VLConfig(text_config=text, vision_config=vision)
    )


_GEMMA3 = ("model.language_model.layers.0.self_attn.q_proj",
           "model.vision_tower.encoder.layers.0.self_attn.q_proj")  # fmt: skip
_QWEN2_VL = ("model.language_model.layers.0.self_attn.q_proj", "model.visual.blocks.0.attn.proj")


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("make", "own", "called"),
    [
        (gemma3, _GEMMA3, ("language_model.model.layers.0.self_attn.q_proj", _GEMMA3[1])),
        (_qwen2_vl, _QWEN2_VL, (_QWEN2_VL[0], "visual.blocks.0.attn.proj")),
        (_qwen2_vl, _QWEN2_VL, ("model.layers.0.self_attn.q_proj", _QWEN2_VL[1])),
    ],
)  # fmt: skip
def test_text_alone_and_vision_alone_of_two_versions_meet_without_the_base(
    tmp_path: Path,
    make: Callable[[], Any],
    own: tuple[str, str],
    called: tuple[str, str],
    turned: bool,
) -> None:
    torch.manual_seed(0)
    model = make().eval()
    expected, adapters = {}, []
    for n, (name, way) in enumerate(zip(own, called, strict=True)):
        factors = pair(np.random.default_rng(n), *model.get_submodule(name).weight.shape)
        tensors, config = linear({way: factors}, base_model_name_or_path="base")
        adapters.append(superpose.load(write(tmp_path / str(n), tensors, **config)))
        expected[f"{name}.weight"] = product(factors)
    with pytest.warns(SuperposeWarning, match="calls one weight"):
        total = exact_sum(adapters[::-1] if turned else adapters)
    superpose.save(total, tmp_path / "sum")
    for parameter, change in changes(model, tmp_path / "sum").items():
        assert np.allclose(change, expected.get(parameter, 0.0), atol=1e-5), parameter


_LAYER = "encoder.layers.0.mlp.fc1"


def _of_tower(folder: Path, name: str, kind: str | None, seed: int) -> tuple[Adapter, Any]:
    """An adapter of CLIP's, as its class calls the layer; and its delta."""
    factors = pair(np.random.default_rng(seed), 24, 16)
    tensors, config = linear({name: factors}, base_model_name_or_path="base")
    if kind is not None:
        config["auto_mapping"] = {
            "base_model_class": kind, "parent_library": "transformers.models.clip.modeling_clip"
        }  # fmt: skip
    return superpose.load(write(folder, tensors, **config)), product(factors)


@pytest.mark.parametrize("at_hand", [False, True])
@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        ((_LAYER, _LAYER), ("CLIPTextModel", "CLIPVisionModel")),
        ((_LAYER, _LAYER), ("CLIPVisionModel", "CLIPTextModel")),
        ((f"text_model.{_LAYER}", _LAYER), ("CLIPModel", "CLIPVisionModel")),
        ((_LAYER, f"vision_model.{_LAYER}"), ("CLIPTextModel", "CLIPModel")),
        ((_LAYER, f"vision_model.{_LAYER}"), ("CLIPVisionModel", "CLIPVisionModelWithProjection")),
    ],
)
def test_the_class_tells_which_tower_a_layer_is_of(
    tmp_path: Path, names: tuple[str, str], kinds: tuple[str, str], at_hand: bool
) -> None:
    torch.manual_seed(0)
    model = _clip().eval()
    model.save_pretrained(tmp_path / "base")
    tree = tree_of_base(Checkpoint.open(tmp_path / "base")) if at_hand else None
    expected: dict[str, Any] = {}
    adapters = []
    for n, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        adapter, delta = _of_tower(tmp_path / str(n), name, kind, n)
        adapters.append(adapter)
        tower = "vision_model" if "Vision" in kind or "vision" in name else "text_model"
        parameter = f"{tower}.{_LAYER}.weight"
        expected[parameter] = expected.get(parameter, 0.0) + delta
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperposeWarning)
        superpose.save(exact_sum(adapters, tree=tree), tmp_path / "sum")
    for parameter, change in changes(model, tmp_path / "sum").items():
        assert np.allclose(change, expected.get(parameter, 0.0), atol=1e-5), parameter
    said = json.loads((tmp_path / "sum" / "adapter_config.json").read_text())["auto_mapping"]
    assert said["base_model_class"] in ("CLIPModel", "CLIPVisionModelWithProjection")


def test_two_adapters_of_one_towers_class_keep_its_names(tmp_path: Path) -> None:
    old, _ = _of_tower(tmp_path / "old", f"vision_model.{_LAYER}", "CLIPVisionModel", 0)
    new, _ = _of_tower(tmp_path / "new", _LAYER, "CLIPVisionModel", 1)
    with pytest.warns(SuperposeWarning, match="calls one weight"):
        assert list(exact_sum([old, new])) == [_LAYER]
    assert list(exact_sum([new, new])) == [_LAYER]


@pytest.mark.parametrize("other", [f"vision_model.{_LAYER}", _LAYER])
def test_a_layer_of_either_tower_is_refused_and_the_way_out_works(
    tmp_path: Path, other: str
) -> None:
    a, _ = _of_tower(tmp_path / "a", _LAYER, None, 0)
    b, _ = _of_tower(tmp_path / "b", other, "CLIPVisionModel", 1)
    c, _ = _of_tower(tmp_path / "c", _LAYER, "CLIPTextModel", 2)
    with pytest.raises(Refused, match="which of the two") as refused:
        exact_sum([a, b, c])
    assert "renamed" in str(refused.value.hint)
    a = a.renamed(lambda name: "text_model." + name)
    with pytest.warns(SuperposeWarning):
        assert len(exact_sum([a, b, c])) == 2
