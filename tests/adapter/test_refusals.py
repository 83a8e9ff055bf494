"""What cannot be an adapter, or part of one sum, is refused by name; what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from superpose.adapter import (
    Adapter,
    Delta,
    Part,
    Place,
    Replacement,
    Rescaled,
    Stored,
    check_same_base,
    without_heads,
)
from superpose.adapter.beside import Beside
from superpose.adapter.by_part import scaled_by_part
from superpose.adapter.same_base import base_with_revision
from superpose.adapter.summary import summarise
from superpose.compose import exact_sum
from superpose.errors import BadInput, DifferentBase
from superpose.lowrank import Term
from superpose.shown import Facts

Build = Callable[..., Adapter]
FACTORS = np.ones((3, 1)), np.ones((1, 2))


def part(*shape: int, coefficient: float = 1.0) -> Part:
    return Part(coefficient, Stored(np.ones(shape)))


def stored(tensor: str, *shape: int) -> dict[str, Replacement]:
    return {tensor: Replacement((part(*shape),), tensor)}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((), "norm.weight: a replacement needs at least one part"),
        ((part(3), part(4)), r"the parts differ in shape: \[\(3,\), \(4,\)\]"),
        ((part(3, coefficient=float("inf")),), "norm.weight: a coefficient is not finite"),
    ],
)
def test_a_replacement_that_can_be_none_is_refused(parts: tuple[Part, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Replacement(parts, "norm.weight")


def test_a_stored_tensor_meets_no_base_of_another_shape_and_nothing_else() -> None:
    one = stored("norm.weight", 3)["norm.weight"]
    with pytest.raises(BadInput, match=r"`norm.weight` has shape \(3,\) in the adapter and \(4,\)"):
        one.value(np.zeros(4))
    with pytest.raises(TypeError, match="unsupported operand"):
        one + 1
    with pytest.raises(BadInput, match="cannot be told without the base model's own"):
        Rescaled(np.ones(3), (Term(1.0, *FACTORS),)).at(None)


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ((1.0, FACTORS[0]), r"a delta's term is \(coefficient, B, A\), and not \(1.0, array"),
        (("1", *FACTORS), r"a delta's term is \(coefficient, B, A\), and not \('1', array"),
        ((1.0, [[1.0]], FACTORS[1]), "factor B is list, not an array"),
        ((1.0, FACTORS[0], 2.0), "factor A is float, not an array"),
    ],
)
def test_what_is_no_term_is_no_delta(term: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Delta((term,))


def test_deltas_of_two_places_have_no_sum() -> None:
    places = Place("m", kind="convolution", kernel=(1, 2)), Place("m", kind="embedding")
    one, other = (replace(Delta.of(*FACTORS), place=place) for place in places)
    with pytest.raises(BadInput, match=r"two deltas of different places: .*\(1, 2\).*embedding"):
        one + other


HEAD = "Heads for other labels have no sum. Leave heads out"
WORDS = "They differ in the vocabulary alone, by 2 tokens"
OTHER = "Was one of them trained on another base model?"


@pytest.mark.parametrize(
    ("place", "one", "two", "hint"),
    [
        (Place("score"), (3, 5), (4, 5), HEAD),
        (Place("lm_head"), (9, 5), (7, 5), WORDS),
        (Place("lm_head"), (9, 5), (8, 5), "in the vocabulary alone, by 1 token: one"),
        (Place("model.embed_tokens", kind="embedding"), (5, 9), (5, 7), WORDS),
        (Place("lm_head"), (9, 5), (7, 6), OTHER),
        (Place("model.layers.0.mlp.up_proj"), (9, 5), (7, 5), OTHER),
    ],
    ids=["head", "output", "one token", "embedding", "both", "body"],
)
def test_deltas_of_other_shapes_are_told_by_what_differs(
    place: Place, one: tuple[int, int], two: tuple[int, int], hint: str
) -> None:
    pair = []
    for name, (high, wide) in (("math", one), ("law", two)):
        delta = replace(Delta.of(np.ones((high, 2)), np.ones((2, wide))), place=place)
        pair.append(Adapter({place.key: delta}, name))
    with pytest.raises(DifferentBase) as error:
        check_same_base(pair)
    said = str(error.value)
    assert hint in said
    assert all(text in said for text in (f"`{place.key}`", str(one), str(two), "`math`", "`law`"))


@pytest.mark.parametrize(
    ("tensor", "one", "two", "hint"),
    [
        ("model.embed_tokens.weight", (9, 5), (7, 5), WORDS),
        ("model.embed_tokens.weight", (9, 5), (8, 5), "by 1 token: each stores its own"),
        ("model.embed_tokens.weight", (9, 5), (7, 6), OTHER),
        ("model.norm.weight", (5,), (7,), OTHER),
        ("score.weight", (3, 5), (4, 5), HEAD),
    ],
)
def test_stored_tensors_of_other_shapes_are_told_by_what_differs(
    build: Build, tensor: str, one: tuple[int, ...], two: tuple[int, ...], hint: str
) -> None:
    pair = [
        build(name, replacements=stored(tensor, *shape))
        for name, shape in (("math", one), ("law", two))
    ]
    with pytest.raises(DifferentBase) as error:
        check_same_base(pair)
    assert hint in str(error.value)
    assert f"`{tensor}` has shape {one} in `math` and {two} in `law`" in str(error.value)


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("org/base", "abc", "org/base@abc"),
        ("org/base", "main", "org/base"),
        ("org/base", 3, "org/base"),
        ("org/base@v1", "abc", "org/base@v1"),
        ("https://huggingface.co/org/base", "abc", "https://huggingface.co/org/base"),
        ("/models/base", "abc", "/models/base"),
        (None, "abc", None),
    ],
)
def test_a_revision_goes_with_a_name_of_the_hub_alone(
    build: Build, name: str | None, revision: object, said: str | None
) -> None:
    assert base_with_revision(build(base_model=name, settings={"revision": revision})) == said


def test_an_adapter_of_a_head_alone_has_nothing_beside_it(build: Build) -> None:
    body, head = (
        build("math", modules={"q": (6, 5, 2)}),
        build("judge", modules={"score": (3, 5, 2)}),
    )
    with pytest.raises(BadInput, match=r"judge`?: holds nothing but a head"):
        exact_sum([body, head], heads="none")
    with_bias = build("judge", modules={"score": (3, 5, 2)}, replacements=stored("score.bias", 3))
    with pytest.raises(BadInput, match="holds nothing but a head"):
        without_heads(with_bias)
    kept = without_heads(replace(with_bias, replacements=stored("model.norm.weight", 5)))
    assert (set(kept), set(kept.replacements)) == (set(), {"model.norm.weight"})


def test_adapters_with_other_kinds_of_content_are_not_equal(build: Build) -> None:
    one = build(replacements=stored("q.weight", 3, 2))
    rescaled = Part(1.0, Rescaled(np.ones(3), (Term(1.0, *FACTORS),)))
    for other in (
        replace(one, deltas={**one, "q": replace(one["q"], place=Place("q", kind="embedding"))}),
        replace(one, replacements={"q.weight": Replacement((rescaled,), "q.weight")}),
        replace(one, replacements={}),
    ):
        assert one != other
    assert one == build(replacements=stored("q.weight", 3, 2))


def facts(adapter: Adapter) -> dict[str, str]:
    found = next(each for each in summarise(adapter).shown() if isinstance(each, Facts))
    return {fact.name: fact.text for fact in found.facts}


def test_an_adapter_names_what_lies_beside_it_and_is_called_by(build: Build) -> None:
    lies = (
        Beside("math", "head.pt", "a value head", "trained"),
        Beside("math", "tokenizer.json", "a tokenizer", "tokenizer"),
    )
    found = facts(build(beside=lies, metadata={"trained_words": "a cat, a dog"}))
    assert found["not in it"] == "head.pt: a value head"
    assert found["beside it"] == "tokenizer.json"
    assert found["trigger words"] == "a cat, a dog"


def test_a_module_that_adds_nothing_among_others_is_named(build: Build) -> None:
    one = build()
    remarks = summarise(Adapter({**one, "q": one["q"].scaled(0.0)})).remarks
    assert [remark for remark in remarks if "adds nothing in" in remark] == [
        "adds nothing in `q`: the delta is zero"
    ]


def test_a_parameter_of_a_block_itself_is_a_kind_by_its_own_name() -> None:
    places = [Place(f"model.layers.{n}", "scale_shift_table") for n in range(2)]
    delta = Delta.of(*FACTORS)
    adapter = Adapter({place.key: replace(delta, place=place) for place in places})
    assert [(kind.name, kind.module_count) for kind in summarise(adapter).kinds] == [
        ("scale_shift_table", 2)
    ]


@pytest.mark.parametrize(
    ("weights", "right"),
    [
        ({"te3": 0.5}, {"t5": 0.5, "clip": 1.0, "unet": 1.0}),
        ({"te1": 0.5, "unet": 2.0}, {"t5": 1.0, "clip": 0.5, "unet": 2.0}),
        ({"te": 0.5}, {"t5": 0.5, "clip": 0.5, "unet": 1.0}),
    ],
)
def test_each_text_encoder_of_an_image_lora_has_its_own_weight(
    weights: dict[str, float], right: dict[str, float]
) -> None:
    keys = {
        "t5": "lora_te3_encoder_block_0_layer_0_SelfAttention_q",
        "clip": "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
        "unet": "lora_unet_joint_blocks_0_x_block_attn_qkv",
    }
    one = Adapter({key: Delta.of(*FACTORS) for key in keys.values()}, "cats", format="kohya")
    found = scaled_by_part(one, weights)
    assert {kind: found[key].terms[0].coefficient for kind, key in keys.items()} == right
    with pytest.raises(BadInput, match="has no part `te2`; it has te, te1, te3, unet"):
        scaled_by_part(one, {"te2": 1.0})
