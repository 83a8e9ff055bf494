"""Base models by their hub name: configuration, tokenizer and safetensors weights, once each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from superpose.errors import BadInput, MissingBase, MissingExtra
from superpose.files.base import locate_base

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.loopback_hub import Hub

SETTINGS = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]
OTHERS = [
    "README.md",
    "consolidated.safetensors",
    "flax_model.msgpack",
    "gguf/base.gguf",
    "modeling_custom.py",
    "model.fp16.safetensors",
    "onnx/model.onnx",
    "original/model.safetensors",
    "pytorch_model.bin",
    "tf_model.h5",
]


def different(names: list[str]) -> dict[str, bytes]:
    """Files, each of its own content: what the cache has under another name is not fetched."""
    return {name: name.encode() for name in names}


def index_of(*shards: str) -> bytes:
    names = {f"layers.{i}.weight": shard for i, shard in enumerate(shards)}
    return json.dumps({"metadata": {}, "weight_map": names}).encode()


def test_of_a_base_model_in_one_file_the_rest_stays_there(hub: Hub) -> None:
    wanted = [*SETTINGS, "model.safetensors"]
    hub.put("org/base", different([*wanted, *OTHERS]))
    folder = locate_base("org/base").folder
    assert sorted(path.name for path in folder.iterdir()) == sorted(wanted)
    assert hub.fetched == sorted(f"org/base/{name}" for name in wanted)


def test_of_a_sharded_base_model_the_shards_that_the_index_names_are_fetched(hub: Hub) -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = "model.safetensors.index.json"
    files = different([*SETTINGS, *shards, *OTHERS, "model.safetensors"])
    hub.put("org/base", files | {index: index_of(*shards)})
    locate_base("org/base")
    assert hub.fetched == sorted(f"org/base/{name}" for name in [*SETTINGS, index, *shards])


def test_revision_folder_and_a_name_without_an_owner_reach_the_hub(hub: Hub) -> None:
    hub.put("gpt2", {"config.json": b"new", "model.safetensors": b"new"})
    hub.put("gpt2", {"big/config.json": b"old", "big/model.safetensors": b"old"}, branch="v1")
    assert (locate_base("gpt2").folder / "model.safetensors").read_bytes() == b"new"
    assert ("GET", "/api/models/gpt2/revision/main") in hub.asked
    hub.repositories["org/base"] = hub.repositories["gpt2"]
    for name in ("hf://org/base@v1/big", "org/base/big@v1"):
        assert (locate_base(name).folder / "model.safetensors").read_bytes() == b"old"


def test_what_was_fetched_once_serves_when_the_hub_is_down(hub: Hub) -> None:
    hub.put("org/base", {"config.json": b"{}", "model.safetensors": b"x"})
    folder = locate_base("org/base").folder
    hub.broken = 503
    assert locate_base("org/base").folder == folder


def test_a_branch_that_moves_meanwhile_does_not_mix_two_states(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between settings and weights somebody pushes: the weights are those of the settings."""
    from superpose.files import hub_base as module

    hub.put("org/base", {"config.json": b"old", "model.safetensors": b"old"})
    fetch_settings = module.snapshot

    def push_afterwards(*args: Any) -> Path:
        folder = fetch_settings(*args)
        if (folder / "config.json").exists() and not (folder / "model.safetensors").exists():
            old = hub.repositories["org/base"].branches["main"]
            hub.put("org/base", old, branch="before")
            hub.put("org/base", {"config.json": b"new", "model.safetensors": b"new"})
        return folder

    monkeypatch.setattr(module, "snapshot", push_afterwards)
    folder = locate_base("org/base").folder
    assert {path.read_bytes() for path in folder.iterdir()} == {b"old"}


def test_a_base_model_of_pickles_alone_is_refused_and_not_fetched(hub: Hub) -> None:
    hub.put("org/base", {"config.json": b"{}", "pytorch_model.bin": b"\x80\x02"})
    with pytest.raises(BadInput, match="holds no weights as safetensors"):
        locate_base("org/base")
    assert hub.fetched == ["org/base/config.json"]


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (b"{", r"its model\.safetensors\.index\.json is not JSON"),
        (b"[1]", "holds no JSON object"),
        (b'{"weight_map": {"a": ["b"]}}', "no file's name"),
        (b'{"weight_map": {}}', "has no `weight_map`"),
        (index_of("../../x.safetensors"), "no file's name"),
        (index_of("x.bin"), "no file's name"),
        (index_of("*.safetensors"), "names other files than safetensors"),
        (index_of("model-1.safetensors"), r"names model-1\.safetensors, which is not there"),
    ],
)
def test_an_index_that_cannot_be_followed_is_refused(index: bytes, said: str, hub: Hub) -> None:
    hub.put("org/base", {"config.json": b"{}", "model.safetensors.index.json": index})
    with pytest.raises(BadInput, match=said):
        locate_base("org/base")


@pytest.mark.usefixtures("hub")
def test_a_base_model_that_cannot_be_had_is_a_missing_base() -> None:
    with pytest.raises(MissingBase, match="the hub has no repository org/nothing"):
        locate_base("org/nothing")


def test_without_the_client_the_extra_is_named_and_no_base(monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"superpose\[hub\]"):
        locate_base("org/base")
