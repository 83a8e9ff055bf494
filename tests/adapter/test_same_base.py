"""One base model under many names passes with a word; another base model does not pass."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from superpose.adapter import Adapter, Delta, Place, check_same_base
from superpose.adapter.same_base import plain_name
from superpose.compose import exact_sum
from superpose.errors import DifferentBase, SuperposeWarning

GEMMA = [
    "google/gemma-3-270m-it",
    "gemma3-270m-it",
    "C:\\Users\\me\\models\\gemma-3-270m-it",
    "/home/me/.cache/hub/models--google--gemma-3-270m-it/snapshots/9b0c",
    "./Gemma-3-270m-IT/",
]


@pytest.mark.parametrize("name", GEMMA)
def test_real_spellings_of_one_model_have_one_plain_name(name):
    assert plain_name(name) == "gemma3270mit"


@pytest.mark.parametrize("name", [None, "", "/", "..."])
def test_a_name_that_says_nothing_is_none(name):
    assert plain_name(name) is None


@pytest.mark.parametrize("name", GEMMA[1:])
def test_differing_spellings_are_a_warning(build, name):
    pair = build(base_model=GEMMA[0]), build(base_model=name)
    with pytest.warns(SuperposeWarning, match="taken for one base model"):
        check_same_base(pair)


@pytest.mark.parametrize("names", [("gpt2", "gpt2"), ("gpt2", None), (None, None), (None, "gpt2")])
def test_equal_and_missing_names_pass_without_a_word(build, names):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_same_base([build(base_model=name) for name in names])


def test_other_names_are_refused_with_both_and_the_way_out(build):
    pair = build("math", base_model="gpt2"), build("law", base_model="gpt2-medium")
    with pytest.raises(DifferentBase, match=r"`math`.*`gpt2`.*`law`.*`gpt2-medium`") as error:
        check_same_base(pair)
    assert "--same-base" in str(error.value)
    check_same_base(pair, same_base=True)


def test_a_third_adapter_is_compared_past_one_without_a_name(build):
    with pytest.raises(DifferentBase):
        check_same_base([build(base_model="a"), build(), build(base_model="b")])


def test_other_shapes_are_refused_whatever_is_said_of_the_names(build):
    pair = build("math", modules={"q": (6, 5, 2)}), build("law", modules={"q": (7, 5, 2)})
    with pytest.raises(DifferentBase, match="trained on another base model") as error:
        check_same_base(pair, same_base=True)
    for part in ("`q`", "(6, 5)", "(7, 5)", "`math`", "`law`"):
        assert part in str(error.value)


def test_on_base_is_the_way_out_in_python(build):
    x, y = build(base_model="gpt2"), build(base_model="my-copy")
    with pytest.raises(DifferentBase, match="on_base"):
        x + y
    assert (x + y.on_base("gpt2")).base_model == "gpt2"


@pytest.mark.parametrize(
    ("places", "problem"),
    [
        (
            [Place("m", "down", "experts", blocks=n) for n in (4, 8)],
            r"`m\.down` has parts 4 in .* and 8 in",
        ),
        (
            [Place("m", kind="convolution", kernel=k) for k in ((1, 4), (2, 2))],
            r"`m\.weight` has kernel \(1, 4\) in .* and \(2, 2\) in",
        ),
    ],
)
def test_parts_and_kernels_that_differ_are_another_base(places, problem):
    """Their deltas are of one shape, and their sum would be of nothing that there is."""
    delta = Delta.of(np.ones((3, 1)), np.ones((1, 4)))
    x, y = (Adapter({p.key: replace(delta, place=p)}) for p in places)
    with pytest.raises(DifferentBase, match=problem):
        x + y


KAGGLE = [
    "/kaggle/input/llama-3.1/transformers/8b-instruct/1",
    "/kaggle/input/gemma-2/transformers/gemma-2-9b-it/1",
    "/kaggle/input/gemma-2/transformers/gemma-2-9b-it/2",
    "/kaggle/input/models/metaresearch/llama-3.2/pytorch/8b-instruct/1",
    "/root/.cache/kagglehub/models/google/gemma/transformers/2b/1",
    "/kaggle/input/my-model/1",
    "/kaggle/input/other-model/1",
    "/models/qwen/1",
    "/models/phi/v1",
    "/models/phi/1.0",
]


def test_a_number_of_a_version_names_no_base_by_itself(build):
    names = [plain_name(path) for path in KAGGLE]
    assert len(set(names)) == len(names)
    with pytest.raises(DifferentBase):
        check_same_base([build(base_model=path) for path in KAGGLE[5:7]])


@pytest.mark.parametrize(
    "path",
    [
        "gemma-3-270m-it/model",
        "/data/gemma-3-270m-it/hf/",
        "x/gemma-3-270m-it/snapshots/" + "9a" * 20,
    ],
)
def test_a_folder_that_names_nothing_is_passed_over(path):
    assert plain_name(path) == "gemma3270mit"


def test_names_of_nothing_but_such_folders_are_taken_whole():
    assert plain_name("/model") == "model"
    assert plain_name("1") == "1"


def trained_on(build, name, model, library="x.y", **made):
    mapping = {"base_model_class": model, "parent_library": library}
    return replace(build(name, **made), settings={"auto_mapping": mapping}, path=f"runs/{name}")


UNET = ("UNet2DConditionModel", "diffusers.models.unets.unet_2d_condition")
OTHER_CLASSES = [
    (UNET, ("ConvNextV2ForImageClassification", "transformers.models.convnextv2.modeling")),
    (("GPT2Model", "transformers.models.gpt2.modeling_gpt2"), ("LlamaModel", "custom")),
]


@pytest.mark.parametrize(("one", "two"), OTHER_CLASSES)
@pytest.mark.parametrize("named", [None, "org/base"])
def test_base_models_of_other_classes_with_nothing_in_common_are_refused(build, one, two, named):
    x = trained_on(build, "x", *one, modules={"a.q": (6, 5, 2)}, base_model=named)
    y = trained_on(build, "y", *two, modules={"b.k": (3, 5, 2)})
    with pytest.raises(DifferentBase, match=f"{one[0]} and `runs/y` on a {two[0]}") as error:
        check_same_base((x, y))
    assert "--same-base" in str(error.value)
    check_same_base((x, y), same_base=True)
    assert len(exact_sum((x, y), same_base=True)) == 2


ONE_ARCHITECTURE = [
    ("GPT2Model", "transformers.models.gpt2.modeling_gpt2", "GPT2LMHeadModel", "elsewhere"),
    ("LlamaForCausalLM", "a", "LlamaForSequenceClassification", "b"),
    (
        "Blip2Model",
        "transformers.models.blip_2.x",
        "BlipTwoQFormer",
        "transformers.models.blip_2.y",
    ),
]


@pytest.mark.parametrize("classes", ONE_ARCHITECTURE)
def test_classes_of_one_architecture_may_change_different_modules(build, classes):
    x = trained_on(build, "x", *classes[:2], modules={"a.q": (6, 5, 2)})
    y = trained_on(build, "y", *classes[2:], modules={"b.k": (3, 5, 2)})
    with pytest.warns(SuperposeWarning, match="nothing shows that `runs/x` and `runs/y` have one"):
        check_same_base((x, y))


def test_where_nothing_shows_one_base_that_is_said_once_for_all_pairs(build):
    parts = [replace(build(n, modules={n: (6, 5, 2)}), path=f"runs/{n}") for n in ("a", "b", "c")]
    with pytest.warns(SuperposeWarning, match=r"and of 2 more pairs") as said:
        total = exact_sum(parts)
    assert len(said) == 1
    assert total.base_model is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact_sum(parts, same_base=True)
        exact_sum([parts[0], replace(parts[1], deltas=parts[0].deltas)])
        exact_sum([p.on_base("org/base") for p in parts])
