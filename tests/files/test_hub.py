"""Adapters by their hub name: exactly their own files are asked for, of the place that was named.

The hub is a server of our own on the loopback device: huggingface_hub asks it as it asks the real
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save

import superpose
from superpose.errors import BadInput
from superpose.files import locate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import WriteAdapter
    from tests.loopback_hub import Hub

CONFIG = b'{"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q"]}'
OWN = ["adapter_config.json", "adapter_model.safetensors"]


def files_of(folder: Path, inside: str = "") -> dict[str, bytes]:
    return {inside + path.name: path.read_bytes() for path in folder.iterdir()}


def test_only_the_adapters_own_files_are_fetched(hub: Hub, write_adapter: WriteAdapter) -> None:
    files = files_of(write_adapter("a")) | files_of(write_adapter("b", seed=1), "checkpoint-9/")
    others = ("adapter_model.bin", "optimizer.pt", "README.md", "handler.py", "model.safetensors")
    hub.put("org/math", files | dict.fromkeys(others, b"x"))
    assert len(superpose.load("org/math")) == 2
    assert hub.fetched == [f"org/math/{name}" for name in OWN]


@pytest.mark.parametrize(
    "name",
    [
        "org/math/runs/best@v1",
        "hf://org/math@v1/runs/best",
        "https://huggingface.co/org/math/tree/v1/runs/best",
        "https://huggingface.co/org/math/blob/v1/runs/best/adapter_config.json",
    ],
)
def test_revision_and_folder_reach_the_hub_in_each_spelling(
    name: str, hub: Hub, write_adapter: WriteAdapter
) -> None:
    old, new = write_adapter("old", seed=1), write_adapter("new", seed=2)
    hub.put("org/math", files_of(new, "runs/best/") | files_of(new))
    made = hub.put("org/math", files_of(old, "runs/best/") | files_of(new), branch="v1")
    loaded = superpose.load(name)
    assert (loaded - superpose.load(old)).norm() == 0.0
    assert (loaded - superpose.load(new)).norm() > 0.0
    assert loaded.path is not None
    assert loaded.path.startswith("org/math/runs/best") or "blob" in name
    assert ("GET", "/api/models/org/math/revision/v1") in hub.asked
    assert hub.fetched == [f"org/math/runs/best/{own}" for own in OWN]
    commits = {path.split("/")[4] for _, path in hub.asked if "/resolve/" in path}
    assert commits == {made.commit("v1")}


def test_a_commit_is_a_revision_too(hub: Hub, write_adapter: WriteAdapter) -> None:
    commit = hub.put("org/math", files_of(write_adapter("a"))).commit("main")
    assert len(superpose.load(f"org/math@{commit}")) == 2


def test_what_was_fetched_once_is_not_fetched_again(hub: Hub, write_adapter: WriteAdapter) -> None:
    hub.put("org/math", files_of(write_adapter("a")))
    superpose.load("org/math")
    superpose.load("org/math")
    assert len(hub.fetched) == 2


def test_a_hub_that_is_down_leaves_what_the_cache_holds(
    hub: Hub, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put("org/math", files_of(write_adapter("a")))
    first = superpose.load("org/math")
    hub.broken = 503
    # The client's, between its tries.
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    assert (superpose.load("org/math") - first).norm() == 0.0


@pytest.mark.parametrize("name", ["ink.safetensors", "big/ink (v2).safetensors", "ink.gguf"])
def test_of_a_file_that_is_named_nothing_else_is_fetched(name: str, hub: Hub) -> None:
    hub.put("org/styles", dict.fromkeys([name, "other.safetensors", "ink.pt"], b"not read here"))
    assert locate(f"org/styles/{name}").read_bytes() == b"not read here"
    assert hub.fetched == [f"org/styles/{name}"]


def test_a_file_that_is_not_there_is_answered_with_those_that_are(hub: Hub) -> None:
    hub.put("org/styles", {"v1/ink.safetensors": b"", "v1/ink.pt": b"", "v1/x.gguf": b""})
    with pytest.raises(BadInput, match=r"org/styles has no file v1/inc\.safetensors") as caught:
        locate("org/styles/v1/inc.safetensors")
    assert caught.value.hint == "It holds ink.safetensors."


def test_a_repository_of_diffusers_means_its_one_file(hub: Hub) -> None:
    name = "pytorch_lora_weights.safetensors"
    hub.put("org/ink", {name: b"not read here", "model_index.json": b"{}"})
    assert locate("org/ink").name == name
    assert hub.fetched == [f"org/ink/{name}"]
    hub.broken = 503
    assert locate("org/ink").name == name


def test_a_peft_adapter_in_a_repository_of_diffusers_is_what_counts(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    both = files_of(write_adapter("a")) | {"pytorch_lora_weights.safetensors": b""}
    hub.put("org/ink", both)
    assert locate("org/ink").is_dir()
    assert hub.fetched == [f"org/ink/{own}" for own in OWN]


NAMED: dict[str, tuple[str, dict[str, bytes], list[str]]] = {
    "pickle": (
        "org/math",
        {"adapter_config.json": CONFIG, "adapter_model.bin": b"\x80\x02"},
        ["as a pickle", "hf download org/math --local-dir FOLDER\n", "torch.load", " FOLDER"],
    ),
    "pickle in a folder of a revision": (
        "org/math/best@v1",
        {"best/adapter_config.json": CONFIG, "best/adapter_model.bin": b"\x80\x02"},
        ["--revision v1 --include 'best/*' --local-dir FOLDER", " FOLDER/best"],
    ),
    "mlx": ("org/math", {"adapters.safetensors": b"", "config.json": b"{}"}, ["an MLX adapter"]),
    "full model": (
        "org/math",
        {"config.json": b"{}", "model.safetensors": b""},
        ["is a full model, not an adapter"],
    ),
    "no config": ("org/math", {"adapter_model.safetensors": b""}, ["adapter_config.json is miss"]),
    "adapters inside": (
        "org/math@v1",
        {"runs/best/adapter_config.json": CONFIG, "README.md": b""},
        ["holds some", "Give one: org/math/runs/best@v1"],
    ),
    "other": ("org/math", {"README.md": b"", "x.py": b""}, ["it holds README.md, x.py"]),
    "no such folder": ("org/math/best", {"README.md": b""}, ["it holds nothing"]),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_repository_that_holds_something_else_is_named_as_what_it_is(case: str, hub: Hub) -> None:
    name, files, words = NAMED[case]
    hub.put("org/math", files)
    hub.put("org/math", files, branch="v1")
    with pytest.raises(BadInput) as caught:
        superpose.load(name)
    assert str(caught.value).startswith(f"{name}: ")
    for part in words:
        assert part in str(caught.value)
    assert not [path for _, path in hub.asked if path.endswith(".bin")], "a pickle was fetched"


def test_a_hub_that_cannot_be_asked_again_leaves_what_was_fetched_to_tell(hub: Hub) -> None:
    """The second question fails: the answer says what is missing, and is no traceback."""
    hub.put("org/math", {"adapter_config.json": CONFIG, "adapter_model.bin": b"\x80\x02"})
    with pytest.raises(BadInput, match="as a pickle"):
        superpose.load("org/math")
    hub.broken = 403  # which the client does not ask again
    with pytest.raises(BadInput, match=r"adapter_model\.safetensors is missing"):
        superpose.load("org/math")


def test_weights_in_shards_or_of_mlx_are_fetched_and_no_others(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a")
    right = superpose.load(folder)
    config, weights = (folder / name for name in OWN)
    shard = "adapter_model-00001-of-00001.safetensors"
    hub.put("org/shards", {OWN[0]: config.read_bytes(), shard: weights.read_bytes(), "x.bin": b"x"})
    assert superpose.load("org/shards").norm() == right.norm()
    assert hub.fetched == [f"org/shards/{OWN[0]}", f"org/shards/{shard}"]
    mlx = b'{"fine_tune_type": "lora", "lora_parameters": {"scale": 2.0}}'
    tensors = {f"q.lora_{side}": np.ones((4, 4), np.float32) for side in "ab"}
    hub.put("org/mlx", {OWN[0]: mlx, "adapters.safetensors": save(tensors), "adapters.npz": b"x"})
    assert list(superpose.load("org/mlx")) == ["q"]
    of_mlx = {path for path in hub.fetched if path.startswith("org/mlx/")}
    assert of_mlx == {f"org/mlx/{OWN[0]}", "org/mlx/adapters.safetensors"}


def test_weights_under_another_name_on_the_hub_get_the_commands_that_fetch_and_rename_them(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a")
    config, weights = (folder / name for name in OWN)
    odd = "best/adapter_model (1).safetensors"
    hub.put("org/math", {f"best/{OWN[0]}": config.read_bytes(), odd: weights.read_bytes()})
    with pytest.raises(BadInput, match="holds its weights under another name") as caught:
        superpose.load("org/math/best")
    assert (
        "hf download org/math --include 'best/*' --local-dir FOLDER && "
        "mv 'FOLDER/best/adapter_model (1).safetensors' FOLDER/best/adapter_model.safetensors"
    ) in str(caught.value)
