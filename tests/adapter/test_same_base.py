"""One base model under many names passes with a word; another base model does not pass."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from superpose.adapter import Adapter, Delta, Place, check_same_base
from superpose.adapter.same_base import plain_name
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
