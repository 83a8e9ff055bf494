"""Every way to spell a place on the hub, and what can only be a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from superpose.errors import BadInput
from superpose.files import called, short_name
from superpose.files.hub_name import HubName, parse_base_name, parse_hub_name

if TYPE_CHECKING:
    from typing import Any

SPELLED = {
    "org/math": HubName("org/math"),
    "org/math/": HubName("org/math"),
    "org/math@v1": HubName("org/math", revision="v1"),
    "org/math@refs/pr/3": HubName("org/math", revision="refs/pr/3"),
    "org/math/runs/best@v1.0": HubName("org/math", "runs/best", "v1.0"),
    "org/styles/My style (v2).safetensors": HubName("org/styles", "My style (v2).safetensors"),
    "hf://org/math": HubName("org/math"),
    "hf://models/org/math@v1/runs/best": HubName("org/math", "runs/best", "v1"),
    "hf://org/math@refs/pr/3/best": HubName("org/math", "best", "refs/pr/3"),
    "hf://org/math@feature%2Fx/best": HubName("org/math", "best", "feature/x"),
    "hf://org/math/runs/best@v1": HubName("org/math", "runs/best", "v1"),
    "https://huggingface.co/org/math": HubName("org/math"),
    "huggingface.co/org/math/": HubName("org/math"),
    "https://hf.co/org/math/tree/main/runs/best": HubName("org/math", "runs/best", "main"),
    "https://huggingface.co/org/math/blob/v1/a%20b.gguf?x=1": HubName("org/math", "a b.gguf", "v1"),
    "https://huggingface.co/org/math/resolve/refs%2Fpr%2F3/a.gguf?download=true": HubName(
        "org/math", "a.gguf", "refs/pr/3"
    ),
}


@pytest.mark.parametrize("spelling", SPELLED)
def test_a_place_is_read_from_each_of_its_spellings(spelling: str) -> None:
    assert parse_hub_name(spelling) == SPELLED[spelling]


@pytest.mark.parametrize("spelling", SPELLED)
def test_the_short_form_of_a_place_means_that_place(spelling: str) -> None:
    assert parse_hub_name(str(SPELLED[spelling])) == SPELLED[spelling]


def test_a_data_set_is_read_where_one_is_meant_or_said() -> None:
    rows = HubName("org/rows", "train.jsonl", "v1", "dataset")
    assert parse_hub_name("org/rows/train.jsonl@v1", "dataset") == rows
    assert parse_hub_name("hf://datasets/org/rows@v1/train.jsonl", "dataset") == rows
    page = "https://huggingface.co/datasets/org/rows/blob/v1/train.jsonl"
    assert parse_hub_name(page, "dataset") == rows
    assert parse_hub_name(str(rows), "dataset") == rows


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/org/math",
        "https://huggingface.co/org",
        "https://huggingface.co/org/math/discussions/3",
        "https://huggingface.co/spaces/org/math",
        "https://huggingface.co/org/math/tree/v1/../../x",
        "hf://spaces/org/math",
        "hf://org",
        "hf://",
    ],
)
def test_an_address_that_is_no_place_in_a_repository_is_refused(address: str) -> None:
    with pytest.raises(BadInput, match="names no place in a repository"):
        parse_hub_name(address)


def test_an_address_of_another_kind_is_refused_as_what_it_is() -> None:
    with pytest.raises(BadInput, match="names a data set on the hub"):
        parse_hub_name("hf://datasets/org/rows")
    with pytest.raises(BadInput, match="names a model or an adapter on the hub"):
        parse_hub_name("https://huggingface.co/org/math", "dataset")


@pytest.mark.parametrize(
    "path",
    [
        *("math", "./org/math", "/org/math", "org//math", "org\\math", "../x", "a/../b", "~/x", ""),
        *("org/math@", "org/math@-v1", "org/math:0.5", "org/ma th", "C:/runs/math", "org/x/./y"),
    ],
)
def test_what_can_only_be_a_path_is_no_hub_name(path: str) -> None:
    assert parse_hub_name(path) is None


def test_only_a_base_model_may_lack_an_owner() -> None:
    assert parse_base_name("gpt2@v1") == HubName("gpt2", revision="v1")
    assert parse_base_name("org/base/sub@v1") == HubName("org/base", "sub", "v1")
    assert parse_base_name("./gpt2") is None
    assert parse_base_name("../gpt2") is None


def test_a_mirrors_own_addresses_are_read_and_no_other_hosts(monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example.com/hf/")
    assert parse_hub_name("https://hub.example.com/hf/org/math/tree/v1") == HubName(
        "org/math", revision="v1"
    )
    with pytest.raises(BadInput, match="no place"):
        parse_hub_name("https://example.com/hf/org/math")


def test_an_address_is_called_by_its_place_and_a_path_as_it_was_given() -> None:
    page = "https://huggingface.co/org/math/tree/v1/runs/best"
    assert called(page) == "org/math/runs/best@v1"
    assert called("runs/math") == "runs/math"
    assert short_name("https://huggingface.co/org/math") == "math"
    assert short_name("org/styles/ink.safetensors") == "ink"
    assert short_name("runs/math.gguf") == "math"


@given(st.text(max_size=60), st.sampled_from(["", "hf://", "https://huggingface.co/", "org/x/"]))
def test_any_text_is_a_place_that_its_short_form_gives_back_or_is_refused(
    text: str, start: str
) -> None:
    try:
        name = parse_hub_name(start + text)
    except BadInput:
        return
    if name is not None:
        assert parse_hub_name(str(name)) == name
        assert ".." not in name.path.split("/")
