"""What a base's tree of names says of tensors that are there, and of those that are not."""

from __future__ import annotations

import itertools

import pytest

from superpose.names.identity import parse
from superpose.names.image import image_name
from superpose.names.image_tables import IMAGE_FAMILIES, LOADERS, SAME_MODEL, family_of
from superpose.names.tree import Tree, tree_of, tree_of_model

SHAPES = {
    "model.layers.0.mlp.up_proj.weight": (4, 4),
    "model.embed_tokens.weight": (8, 4),
    "extra.projection.weight": (4, 4),
}


def of_llama(bare: bool = False) -> Tree:
    names = {n.removeprefix("model.") if bare else n: shape for n, shape in SHAPES.items()}
    architecture = "LlamaModel" if bare else "LlamaForCausalLM"
    return tree_of(names, {"model_type": "llama", "architectures": [architecture]})


@pytest.mark.parametrize(
    ("asked", "called"),
    [
        ("layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        ("layers.9.mlp.up_proj.weight", "model.layers.9.mlp.up_proj.weight"),  # half of a stack
        ("language_model.lm_head.weight", "lm_head.weight"),
        ("model.projector.weight", "model.projector.weight"),  # of which the base has nothing
        ("projector.weight", "projector.weight"),
    ],
)
def test_what_is_not_there_is_called_as_what_is_beside_it(asked: str, called: str) -> None:
    assert of_llama().called(parse(asked)) == called
    assert of_llama().elsewhere(asked) == (None if asked == called else called)


def test_a_model_without_its_head_says_so_in_its_configuration() -> None:
    """GPT-2's files are the same for both, and `transformer.` stands before its model's alone."""
    files = {"h.0.mlp.c_fc.weight": (4, 4), "wte.weight": (8, 4)}
    for architecture, start in (("GPT2Model", ""), ("GPT2LMHeadModel", "transformer.")):
        tree = tree_of(files, {"model_type": "gpt2", "architectures": [architecture]})
        assert tree.called(parse("h.0.mlp.c_fc.weight")) == f"{start}h.0.mlp.c_fc.weight"
    assert of_llama(bare=True).called(parse("model.layers.0.mlp.up_proj.weight")) == (
        "layers.0.mlp.up_proj.weight"
    )


@pytest.mark.parametrize(
    ("architecture", "body", "tower"),
    [
        ("LlavaModel", "language_model.", ""),
        ("LlavaForConditionalGeneration", "model.language_model.", "model."),
    ],
)
def test_a_model_of_pictures_without_its_head_has_no_model_in_front(
    architecture: str, body: str, tower: str
) -> None:
    """As LLaVA's files of 2023 are, which transformers of today calls otherwise."""
    files = {
        "language_model.model.layers.0.mlp.up_proj.weight": (4, 4),
        "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight": (4, 4),
    }
    tree = tree_of(files, {"model_type": "llava", "architectures": [architecture]})
    words, pictures = (tree.called(parse(name)) for name in files)
    assert words == f"{body}layers.0.mlp.up_proj.weight"
    assert pictures.startswith(f"{tower}vision_tower.")


def test_a_loaded_models_names_decide() -> None:
    assert tree_of_model(SHAPES, {}).decides
    assert not of_llama().decides


@pytest.mark.parametrize(
    ("module", "family"),
    [
        ("input_blocks_1_1_proj_in", "sgm"),
        ("down_blocks_0_resnets_0_conv1", "unet"),
        ("double_blocks_0_img_attn_qkv", "bfl"),
        ("single_blocks_3_linear1", "bfl"),
        ("joint_blocks_0_x_block_attn_qkv", "joint"),
        ("audio_patchify_proj", "ltx"),
        ("single_transformer_blocks_0_attn_to_q", "transformer"),
        ("blocks_0_cross_attn_k_img", "wan"),
        ("blocks_0_attn1_to_q", "wan diffusers"),
        ("blocks_0_self_attn_output_proj", "anima"),
        ("blocks_0_attn_wq", "krea"),
        ("token_refiner_blocks_0_attn_qkv_proj", "minimax"),
        ("layers_0_cross_attn_o_proj", "ace"),
        ("layers_0_self_attn_to_q", "ace diffusers"),
        ("layers_0_attention_qkv", "z fused"),
        ("noise_refiner_0_attention_to_q", "z"),
        ("context_refiner_0_attn_to_q", "lumina"),
        ("x_embedder", None),
    ],
)
def test_a_flat_name_tells_its_family(module: str, family: str | None) -> None:
    assert family_of([module]) == family


def test_what_is_translated_or_converted_is_a_family() -> None:
    families = {family.name for family in IMAGE_FAMILIES}
    assert {*SAME_MODEL, *SAME_MODEL.values(), *itertools.chain(*LOADERS)} <= families


def test_a_text_encoders_layer_is_flat_without_what_says_which_it_is() -> None:
    dotted = image_name("text_encoder_2.text_model.encoder.layers.0.mlp.fc1")
    flat = image_name("lora_te2_text_model_encoder_layers_0_mlp_fc1")
    assert dotted.flat == flat.flat == "encoder_layers_0_mlp_fc1"
    assert dotted.component == flat.component == "text_encoder_2"
    t5 = "text_encoder_2.encoder.block.0.layer.0.SelfAttention.q"
    assert image_name(t5).component != "text_encoder_2"
