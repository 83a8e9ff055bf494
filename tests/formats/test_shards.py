"""An adapter in several files is read as the one it is, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose
from superpose.errors import BadInput

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

WEIGHTS = "adapter_model.safetensors"
INDEX = "adapter_model.safetensors.index.json"


def shard(n: int, of: int) -> str:
    return f"adapter_model-{n:05}-of-{of:05}.safetensors"


def cut(folder: Path, count: int, index: bool = True) -> dict[str, str]:
    """Cut an adapter's file into shards, as transformers does; give the file of each tensor."""
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    files = {name: shard(i % count + 1, count) for i, name in enumerate(tensors)}
    for file in set(files.values()):
        save_file({n: t for n, t in tensors.items() if files[n] == file}, folder / file)
    if index:
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return files


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_complete_shards_are_the_adapter(
    count: int, index: bool, write_adapter: WriteAdapter, oracle: Any
) -> None:
    folder = write_adapter("a")
    right = superpose.load(folder)
    cut(folder, count, index)
    found = superpose.load(folder)
    assert set(found) == set(right)
    for module, delta in found.items():
        np.testing.assert_array_equal(oracle.dense64(delta), oracle.dense64(right[module]))


@pytest.mark.parametrize("index", [True, False])
def test_a_missing_shard_is_named(index: bool, write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    cut(folder, 3, index)
    (folder / shard(2, 3)).unlink()
    with pytest.raises(BadInput, match=f"the shard {shard(2, 3)} is missing"):
        superpose.load(folder)


def test_one_shard_given_by_itself_is_answered_with_the_folder(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a")
    cut(folder, 2)
    with pytest.raises(BadInput, match="is one of 2 shards") as caught:
        superpose.load(folder / shard(1, 2))
    assert str(folder) in str(caught.value)


def test_an_index_and_its_shards_must_agree(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    files = cut(folder, 2)
    name, file = next(iter(files.items()))
    others = {n: f for n, f in files.items() if n != name}
    for changed, said in (
        (others, f"does not name `{name}`"),
        ({**files, "x": file}, f"{file} holds `x`, and it does not"),
        ({**others, name: "../x.safetensors"}, "no file's name"),
        ({}, "has no `weight_map`"),
    ):
        (folder / INDEX).write_text(json.dumps({"weight_map": changed}))
        with pytest.raises(BadInput, match=said):
            superpose.load(folder)
    (folder / INDEX).write_text("[")
    with pytest.raises(BadInput, match=r"index\.json: is not JSON"):
        superpose.load(folder)


def test_a_tensor_in_two_shards_is_refused(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    cut(folder, 2, index=False)
    one, two = (load_file(folder / shard(n, 2)) for n in (1, 2))
    save_file({**one, **two}, folder / shard(2, 2))
    with pytest.raises(BadInput, match="which another shard holds too"):
        superpose.load(folder)


def test_shards_of_two_runs_are_refused(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    cut(folder, 2, index=False)
    (folder / shard(1, 3)).write_bytes((folder / shard(1, 2)).read_bytes())
    with pytest.raises(BadInput, match="holds shards of 2 and of 3 in all"):
        superpose.load(folder)
