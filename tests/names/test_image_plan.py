"""What the modules of several image LoRAs are called in one sum, by their names alone."""

from __future__ import annotations

import pytest

from superpose.errors import Refused
from superpose.names.image_files import File
from superpose.names.image_plan import plan

Q = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
K = "encoder.layers.0.self_attn.q_proj"
T5 = "encoder.block.0.layer.0.SelfAttention.q"
FLUX = "transformer_blocks.0.attn.to_q"


def kohya(module: str) -> str:
    return module.replace(".", "_")


def file(label: str, *modules: str, marked: frozenset[str] = frozenset()) -> File:
    return File(label, dict.fromkeys(modules, (8, 8)), marked)


def names(*files: File) -> list[list[str]]:
    """What each file's modules are called in the sum."""
    return [[move.module for m in moves.values() for move in m] for moves in plan(files).moves]


@pytest.mark.parametrize(
    ("dotted", "others", "start"),
    [
        ((f"transformer.{FLUX}",), (f"lora_te3_{kohya(T5)}",), "text_encoder_2."),
        (
            (f"transformer.{FLUX}", f"text_encoder_2.text_model.{K}"),
            (f"lora_te3_{kohya(T5)}",),
            "text_encoder_3.",
        ),
    ],
    ids=["of two text encoders", "of three"],
)
def test_a_t5_goes_by_the_number_that_it_has_in_the_pipeline(
    dotted: tuple[str, ...], others: tuple[str, ...], start: str
) -> None:
    """Source: diffusers 0.42.1, FluxPipeline and StableDiffusion3Pipeline."""
    _, (found,) = names(file("a", *dotted), file("b", *others))
    assert found == start + T5


@pytest.mark.parametrize(
    ("module", "called"),
    [
        (f"text_encoder_2.{T5}", f"lora_te3_{kohya(T5)}"),
        (f"text_encoder_2.{K}", f"lora_te2_text_model_{kohya(K)}"),
        (f"text_encoder.{K}", f"lora_te_text_model_{kohya(K)}"),
    ],
)
def test_a_text_encoder_that_only_the_other_has_gets_kohyas_name(module: str, called: str) -> None:
    found = names(file("a", f"lora_unet_{kohya(Q)}"), file("b", module))
    assert found == [[f"lora_unet_{kohya(Q)}"], [called]]


def test_a_layer_with_one_name_in_both_ways_of_calling_keeps_it() -> None:
    """`proj_out` shows no model by itself; a file beside it has it among diffusers' names."""
    known = file("a", f"transformer.{FLUX}", "transformer.proj_out")
    own = file("b", "diffusion_model.double_blocks.0.img_attn.proj")
    found = names(known, own, file("c", "diffusion_model.proj_out"))
    assert found[2] == ["transformer.proj_out"]


def test_a_word_whose_dots_are_not_told_makes_all_names_kohyas() -> None:
    """Else its name would have to be guessed, and no loader would find it."""
    strange = "lora_unet_down_blocks_0_some_odd_word_proj"
    dotted, flat = file("a", f"unet.{Q}"), file("b", strange)
    for ordered in ((dotted, flat), (flat, dotted)):
        found = names(*ordered)
        assert {name for own in found for name in own} == {f"lora_unet_{kohya(Q)}", strange}
    text = "lora_te_text_model_encoder_layers_0_some_odd_word"
    found = names(dotted, file("c", text))
    assert found == [[f"lora_unet_{kohya(Q)}"], [text]]


def test_clips_projection_lies_beside_its_text_model() -> None:
    own = file("a", f"text_encoder_2.text_model.{K}")
    other = file("b", f"lora_te2_text_model_{kohya(K)}", "lora_te2_text_projection")
    found = names(own, other)
    assert found[1] == [f"text_encoder_2.text_model.{K}", "text_encoder_2.text_projection"]
    beside = file("c", "lora_te2_text_model_embeddings_token_embedding", f"lora_unet_{kohya(Q)}")
    found = names(beside, file("d", "text_encoder_2.text_projection"))
    assert found[1] == ["lora_te2_text_projection"]


def test_bare_text_encoders_called_alike_are_one_and_beside_others_refused() -> None:
    bare = f"text_model.{K}"
    assert names(file("a", bare), file("b", bare)) == [[bare], [bare]]
    with pytest.raises(Refused, match=rf"`{bare}` of b is a text encoder's module, and a pipeline"):
        plan([file("a", f"text_encoder.{K}"), file("b", bare)])
    with pytest.raises(Refused, match="nobody can tell which"):
        plan([file("a", f"unet.{Q}"), file("b", bare)])


def test_a_file_that_shows_no_model_beside_one_of_a_models_own_names_is_refused() -> None:
    own = file("a", "diffusion_model.double_blocks.0.img_attn.qkv")
    other = file("b", "transformer.some_layer.proj")
    with pytest.raises(Refused, match=r"nothing shows that `transformer\.some_layer\.proj` of b"):
        plan([own, other])


@pytest.mark.parametrize("first", [(), (f"transformer.{FLUX}",)], ids=["own names", "diffusers'"])
def test_a_layer_that_only_the_model_itself_calls_so_shows_which_it_is(
    first: tuple[str, ...],
) -> None:
    """FLUX' `img_in` is in no family's pattern, and its own table knows it."""
    own = file("a", "diffusion_model.double_blocks.0.img_attn.proj")
    found = names(*(file("c", name) for name in first), own, file("b", "diffusion_model.img_in"))
    assert found[-1] == ["transformer.x_embedder" if first else "diffusion_model.img_in"]


def test_rows_that_do_not_divide_are_no_layer_of_the_table() -> None:
    """Of a fused layer, a third is q: 10 rows have none."""
    fused = "diffusion_model.double_blocks.0.img_attn.qkv"
    own, other = File("a", {fused: (10, 4)}), file("b", f"transformer.{FLUX}")
    with pytest.raises(Refused, match=rf"`{fused}` of a is called by the model's own name"):
        plan([other, own])
