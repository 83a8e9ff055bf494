"""Task weights of a text encoder and a U-Net apart, and the words that a parent's file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import WriteAdapter

import superpose
from superpose.errors import BadInput, BadSetting
from superpose.lowrank import dense

from .conftest import WriteLora

SAID = {"ss_tag_frequency": json.dumps({"10_cats": {"cat": 9, "grass": 2}, "5_more": {"cat": 4}})}


@pytest.fixture
def here(write_lora: WriteLora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_lora("cats", seed=1, metadata=SAID)
    write_lora("dogs", seed=2, metadata={"modelspec.trigger_phrase": "a dog, in ink"})


def changes(adapter: Any) -> dict[str, np.ndarray]:
    return {key: np.asarray(dense(delta.terms)) for key, delta in adapter.items()}


@pytest.mark.parametrize(
    ("written", "unet", "encoder"),
    [("te=0.5,unet=2", 2.0, 0.5), ("te1=-1", 1.0, -1.0), ("transformer=.25", 0.25, 1.0)],
)
def test_a_part_has_its_own_weight_and_what_is_not_named_keeps_one(
    here: None, written: str, unet: float, encoder: float
) -> None:
    cats, dogs = changes(superpose.load("cats.safetensors")), superpose.load("dogs.safetensors")
    superpose.add([f"cats.safetensors:{written}", "dogs.safetensors:3"], "both.safetensors")
    found, others = changes(superpose.load("both.safetensors")), changes(dogs)
    kinds = {key.startswith("lora_te") for key in found}
    assert kinds == {True, False}
    for key, change in found.items():
        weight = encoder if key.startswith("lora_te") else unet
        np.testing.assert_allclose(change, weight * cats[key] + 3.0 * others[key], atol=1e-4)


def test_all_spellings_are_one_sum_and_its_file_says_which(here: None) -> None:
    given: list[Any] = [
        ["cats.safetensors:te=0.5,unet=1", "dogs.safetensors:-1"],
        "cats.safetensors:te=0.5,unet=1 - dogs.safetensors",
        {"cats.safetensors": {"te": 0.5, "unet": 1.0}, "dogs.safetensors": -1.0},
    ]
    sums = [superpose.merge(each) for each in given]
    for each in sums:
        assert each.name == "cats:te=0.5,unet=1 - dogs"
        assert superpose.diff(each, sums[0]).same
    sums[0].save("both.safetensors")
    (first, second) = superpose.info("both.safetensors").parents
    assert (first.name, first.path, first.weight) == (
        "cats:te=0.5,unet=1", "cats.safetensors", 1.0,
    )  # fmt: skip
    assert (second.name, second.weight) == ("dogs", -1.0)
    assert sums[0].made.exact is True


def test_one_file_with_two_weightings_is_two_parents(here: None) -> None:
    twice = superpose.merge("cats.safetensors:te=0 + cats.safetensors")
    assert [parent.name for parent in twice.parents] == ["cats:te=0", "cats"]
    minus = superpose.merge("dogs.safetensors - cats.safetensors:te=0.5,unet=1")
    assert minus.name == "dogs + cats:te=-0.5,unet=-1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cats.safetensors:clip=1", "has no part `clip`; it has te, te1, unet"),
        ("cats.safetensors:te2=1", "has no part `te2`"),
        ("cats.safetensors:te=1,te1=2", "`te1` has two task weights"),
        ("cats.safetensors:te=1,te=2", "`te` has two task weights"),
        ("cats.safetensors:te=", "after the colon is no task weight"),
        ("cats.safetensors:te=1e999", "no finite task weight"),
        ("text:te=0.5", "has no parts: weights of a text encoder and a U-Net are for image LoRAs"),
    ],
)
def test_what_is_no_part_is_refused_with_those_that_there_are(
    here: None, write_adapter: WriteAdapter, given: str, said: str
) -> None:
    write_adapter("text")
    with pytest.raises(BadInput, match=said):
        superpose.add([given], "out.safetensors")
    assert not Path("out.safetensors").exists()


def test_weights_by_part_and_a_list_of_weights_are_two(here: None) -> None:
    with pytest.raises(BadSetting, match="task weights are given twice"):
        superpose.add(["cats.safetensors:te=0.5"], "out.safetensors", [1.0])


def test_the_shell_adds_and_tells(here: None, superpose: Any, tmp_path: Path) -> None:
    words = ["cats.safetensors:te=0.5,unet=1", "dogs.safetensors"]
    done = superpose("add", *words, "-o", "both.safetensors", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "cats:te=0.5,unet=1 + dogs" in done.stdout
    told = superpose("info", "both.safetensors", cwd=tmp_path).stdout
    assert "1 * cats.safetensors:te=0.5,unet=1 (cat, grass)" in told
    assert "1 * dogs.safetensors (a dog, in ink)" in told
    refused = superpose("add", "cats.safetensors:clip=1", "-o", "x.safetensors", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: `cats.safetensors`: has no part `clip`")


def test_trigger_words_go_from_parents_into_sums_of_sums(here: None) -> None:
    assert superpose.info("cats.safetensors").words == ("cat", "grass")
    superpose.add(["cats.safetensors", "dogs.safetensors"], "both.safetensors")
    assert superpose.info("both.safetensors").words == ("cat", "grass", "a dog", "in ink")
    superpose.add(["both.safetensors"], "again.safetensors")
    (parent,) = superpose.load("again.safetensors").parents
    assert parent.words == ("cat", "grass", "a dog", "in ink")


def test_what_no_one_types_is_no_word(write_lora: WriteLora) -> None:
    for number, metadata in enumerate(
        (
            {"ss_tag_frequency": "[[[[", "ss_trained_words": ""},
            {"ss_tag_frequency": json.dumps({"x": {"a\x1b[31m": 3, "b": True, "c" * 999: 1}})},
            {"ss_tag_frequency": json.dumps([1, 2])},
        )
    ):
        assert superpose.info(write_lora(f"x{number}", metadata=metadata)).words == ()


def test_images_are_not_evaluated_and_that_is_said(here: None, tiny_base: Path) -> None:
    rows = [{"question": "1+1?", "answer": "2"}]
    for call in (
        lambda: superpose.evaluate(tiny_base, "cats.safetensors", [rows]),
        lambda: superpose.ask(tiny_base, "cats.safetensors", "a cat"),
        lambda: superpose.predict(tiny_base, ["cats.safetensors"], [rows]),
        lambda: superpose.tune(tiny_base, ["cats.safetensors"], [rows]),
    ):
        with pytest.raises(BadInput, match="is an image LoRA, and images are not evaluated here"):
            call()
