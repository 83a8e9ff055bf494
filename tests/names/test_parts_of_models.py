"""A model's parts keep their own names: what one part once said is what another says today."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from peft import LoraConfig, get_peft_model
from tests.names.bodies import TEXT, VISION
from tests.names.families import Dense, changes

import superpose
from superpose.baking import bake
from superpose.baking.found import found_in, tree_of_base
from superpose.compose import exact_sum
from superpose.errors import SuperposeWarning
from superpose.files.checkpoint import Checkpoint


def _blip2() -> Any:
    text = {**TEXT, "ffn_dim": 48, "word_embed_proj_dim": 32}
    text.pop("intermediate_size")
    config = tf.Blip2Config(
        text_config=tf.OPTConfig(**text),
        vision_config=tf.Blip2VisionConfig(**VISION),
        qformer_config=tf.Blip2QFormerConfig(**TEXT, encoder_hidden_size=16),
    )
    return tf.Blip2ForConditionalGeneration(config)


def _llava() -> Any:
    config = tf.LlavaConfig(
        text_config=tf.LlamaConfig(**TEXT),
        vision_config=tf.CLIPVisionConfig(**VISION),
        image_token_index=63,
    )
    return tf.LlavaForConditionalGeneration(config)


def _siglip_classifier() -> Any:
    text = {**TEXT, "max_position_embeddings": 16}
    return tf.SiglipForImageClassification(tf.SiglipConfig(text_config=text, vision_config=VISION))


def _clipseg() -> Any:
    text = {**TEXT, "max_position_embeddings": 16}
    config = tf.CLIPSegConfig(
        text_config=text, vision_config={**VISION, "num_hidden_layers": 3}, projection_dim=16,
        extract_layers=[1, 2], reduce_dim=16, decoder_num_attention_heads=2,
    )  # fmt: skip
    return tf.CLIPSegForImageSegmentation(config)


def _distilbert() -> Any:
    return tf.DistilBertForMaskedLM(
        tf.DistilBertConfig(dim=32, hidden_dim=48, n_layers=2, n_heads=4, vocab_size=64)
    )


def _vit() -> Any:
    return tf.ViTForImageClassification(tf.ViTConfig(**VISION))


def _dinov2() -> Any:
    return tf.Dinov2ForImageClassification(tf.Dinov2Config(**VISION))


TWO_PARTS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "BLIP-2's Q-Former and language model": (
        _blip2, r".*qformer.*\.(query|intermediate_query\.dense)", r".*language_model.*\.fc1"
    ),
    "BLIP-2's Q-Former and vision model": (
        _blip2, r".*qformer.*\.(query|output_query\.dense)", r"vision_model.*\.(qkv|fc1)"
    ),
    "Llava's tower and language model": (
        _llava, r".*vision_tower.*\.(out_proj|fc1)", r".*language_model.*\.(o_proj|up_proj)"
    ),
    "SigLIP's classifier": (
        _siglip_classifier, r"vision_model.*\.(q_proj|fc1)", r"vision_model.*\.(q_proj|fc2)"
    ),
    "both halves of CLIPSeg": (_clipseg, r"clip\.text_model.*\.fc1", r"clip\.vision_model.*\.fc1"),
}  # fmt: skip
"""Model, and what each of two adapters targets."""


def trained(model: Any, targets: str, folder: Path, seed: int) -> Dense:
    """Save an adapter of the base beside it by PEFT; gives what it changes of the model."""
    import copy

    torch.manual_seed(seed)
    config = LoraConfig(r=2, target_modules=targets, init_lora_weights=False)
    own = copy.deepcopy(model)
    own.name_or_path = str(folder.with_name("base"))
    get_peft_model(own, config).save_pretrained(str(folder))
    return changes(model, folder)


def respelled(folder: Path, name_of: Callable[[str], str]) -> None:
    from safetensors.numpy import load_file, save_file

    path, start = folder / "adapter_model.safetensors", "base_model.model."
    tensors = {start + name_of(n.removeprefix(start)): x for n, x in load_file(path).items()}
    save_file(tensors, path, {"format": "pt"})


def assert_sum(found: Dense, *parts: Dense) -> None:
    for parameter, change in found.items():
        right = sum(part[parameter] for part in parts)
        size = float(np.linalg.norm(right)) or 1.0
        assert np.linalg.norm(change - right) <= 1e-5 * size, parameter


def tiny(make: Callable[[], Any]) -> Any:
    torch.manual_seed(0)
    return make().eval()


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("at_hand", [False, True])
@pytest.mark.parametrize("kind", TWO_PARTS)
def test_adapters_of_parts_of_a_model_keep_the_names_of_these_parts(
    tmp_path: Path, kind: str, at_hand: bool, wrapped: bool
) -> None:
    """Q-Former's `encoder.layer.0` is no older name of what is `layers.0` in another part."""
    make, *targets = TWO_PARTS[kind]
    model = tiny(make)
    model.save_pretrained(tmp_path / "base")
    base = Checkpoint.open(tmp_path / "base")
    parts = [trained(model, t, tmp_path / str(i), i) for i, t in enumerate(targets)]
    if wrapped:
        respelled(tmp_path / "0", lambda name: f"_orig_mod.{name}")
    with warnings.catch_warnings():
        if wrapped:
            warnings.simplefilter("ignore", SuperposeWarning)
        adapters = [superpose.load(tmp_path / str(i)) for i in (0, 1)]
        total = exact_sum(adapters, tree=tree_of_base(base) if at_hand else None)
    superpose.save(total, tmp_path / "sum")
    assert_sum(changes(model, tmp_path / "sum"), *parts)
    assert not found_in(total, base, "base").missing


def test_a_name_that_no_module_has_is_not_found_although_the_weight_is_there(
    tmp_path: Path,
) -> None:
    """PEFT goes by names: what ViT would say is nothing that it finds in a Q-Former."""
    model = tiny(_blip2)
    model.save_pretrained(tmp_path / "base")
    trained(model, r".*qformer.*\.query", tmp_path / "a", 0)
    adapter = superpose.load(tmp_path / "a")
    other = adapter.renamed(lambda name: name.replace("encoder.layer.", "layers."))
    found = found_in(other, Checkpoint.open(tmp_path / "base"), "base")
    assert len(found.missing) == len(other)
    assert "qformer.encoder.layer.0" in next(iter(found.missing.values()))


@pytest.mark.parametrize(
    ("make", "targets", "prefix"),
    [
        (_distilbert, r".*\.(q_lin|lin1)", "distilbert."),
        (_clipseg, r".*(text|vision)_model.*\.fc1", "clip."),
    ],
)
def test_what_is_a_prefix_elsewhere_is_a_models_own_where_its_base_says_so(
    tmp_path: Path, make: Callable[[], Any], targets: str, prefix: str
) -> None:
    """`transformer.` is GPT-2's body and a module of DistilBERT, `text_model.` one of CLIP."""
    model = tiny(make)
    model.save_pretrained(tmp_path / "base")
    parts = [trained(model, targets, tmp_path / str(i), i) for i in (0, 1)]
    respelled(tmp_path / "1", lambda name: name.removeprefix(prefix))
    adapters = [superpose.load(tmp_path / str(i)) for i in (0, 1)]
    tree = tree_of_base(Checkpoint.open(tmp_path / "base"))
    with pytest.warns(SuperposeWarning, match=prefix):
        total = exact_sum(adapters, tree=tree)
    superpose.save(total, tmp_path / "sum")
    assert_sum(changes(model, tmp_path / "sum"), *parts)


@pytest.mark.parametrize("make", [_vit, _dinov2])
def test_todays_adapter_is_baked_into_files_that_say_the_older_names(
    tmp_path: Path, make: Callable[[], Any]
) -> None:
    """So transformers 5 writes a ViT, and so are all that are published."""
    model = tiny(make)
    model.save_pretrained(tmp_path / "base")
    change = trained(model, r".*\.(q_proj|o_proj|fc1)", tmp_path / "a", 0)
    assert all(name not in Checkpoint.open(tmp_path / "base").names for name in changed(change))
    bake(tmp_path / "base", superpose.load(tmp_path / "a"), tmp_path / "baked")
    baked = dict(type(model).from_pretrained(tmp_path / "baked").named_parameters())
    before = dict(model.named_parameters())
    found = {n: (baked[n] - before[n]).detach().double().numpy() for n in change}
    for parameter, right in change.items():
        assert np.allclose(found[parameter], right, rtol=0, atol=1e-6), parameter


def changed(change: Dense) -> list[str]:
    """The attention's, whose names are others in the files."""
    return [name for name, delta in change.items() if delta.any() and "attention" in name]
