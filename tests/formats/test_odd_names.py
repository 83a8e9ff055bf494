"""Weights under another name than PEFT's end in one message, whose command was followed here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.numpy import load_file
from tests.pasted import follow

import superpose
from superpose.errors import BadInput

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

WEIGHTS = "adapter_model.safetensors"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 133\n"

ODD = [
    "Copy of adapter_model.safetensors",
    "adapter_model (1).safetensors",
    "adapter_model's.safetensors",
    "adapter.safetensors",
    "model.safetensors",
    "pytorch_lora.safetensors",
]


def command_of(error: BadInput, start: str = "mv ") -> str:
    assert error.hint is not None
    return start + error.hint.partition(start)[2]


@pytest.mark.parametrize("name", ODD)
def test_a_folder_with_its_weights_under_another_name_gives_the_command_that_renames_them(
    name: str, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("with space")
    right = superpose.load(folder)
    (folder / WEIGHTS).rename(folder / name)
    with pytest.raises(BadInput, match="holds its weights under another name") as caught:
        superpose.load(folder)
    assert name in str(caught.value)
    subprocess.run(command_of(caught.value), shell=True, check=True)
    assert superpose.load(folder).norm() == right.norm()


@pytest.mark.parametrize("name", ODD)
def test_such_a_file_can_be_given_itself_where_its_configuration_lies_beside_it(
    name: str, write_adapter: WriteAdapter
) -> None:
    folder, other = write_adapter("a"), write_adapter("b", seed=1)
    right = superpose.load(other)
    (other / WEIGHTS).rename(folder / name)
    found = superpose.load(folder / name)
    assert found.norm() == right.norm()
    assert found.path == str(folder / name)
    assert found.base_model == right.base_model


@pytest.mark.parametrize("name", ODD[:2])
def test_such_a_file_alone_says_which_configuration_to_write(
    name: str, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    folder = write_adapter("a", rank=3, alpha=6)
    right = superpose.load(folder)
    (folder / WEIGHTS).rename(tmp_path / name)
    with pytest.raises(BadInput, match=r"no adapter_config\.json lies beside it") as caught:
        superpose.load(tmp_path / name)
    assert caught.value.hint is not None
    config = "{" + caught.value.hint.partition("{")[2].partition("}")[0] + "}"
    (tmp_path / "adapter_config.json").write_text(config.replace("ALPHA", "6"))
    assert superpose.load(tmp_path / name).norm() == right.norm()


def test_a_folder_without_its_configuration_says_which_one_to_write(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a", rank=3, alpha=6)
    right = superpose.load(folder)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(BadInput, match=r"adapter_config\.json is missing") as caught:
        superpose.load(folder)
    assert caught.value.hint is not None
    config = "{" + caught.value.hint.partition("{")[2].partition("}")[0] + "}"
    (folder / "adapter_config.json").write_text(config.replace("ALPHA", "6"))
    assert superpose.load(folder).norm() == right.norm()


def test_a_configuration_under_another_name_gives_the_command_that_renames_it(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a")
    right = superpose.load(folder)
    (folder / "adapter_config.json").rename(folder / "adapter_config (1).json")
    with pytest.raises(BadInput, match=r"adapter_config\.json is missing") as caught:
        superpose.load(folder)
    subprocess.run(command_of(caught.value), shell=True, check=True)
    assert superpose.load(folder).norm() == right.norm()


def test_several_such_files_are_all_named(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    for name in ODD[:2]:
        (folder / name).write_bytes((folder / WEIGHTS).read_bytes())
    (folder / WEIGHTS).unlink()
    with pytest.raises(BadInput, match="If one of them is") as caught:
        superpose.load(folder)
    assert all(f"`{name}`" in str(caught.value) for name in ODD[:2])


def test_a_file_of_the_folder_given_in_a_relative_way_is_answered_with_a_path_to_paste(
    write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter("a")
    monkeypatch.chdir(folder)
    with pytest.raises(BadInput, match="is a file") as caught:
        superpose.load(WEIGHTS)
    assert caught.value.hint is not None
    assert len(superpose.load(caught.value.hint.partition(": ")[2])) == 2


@pytest.mark.parametrize("name", ["adapter_model.bin", WEIGHTS])
def test_what_git_lfs_left_is_a_pointer_whatever_it_is_called(
    name: str, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a")
    (folder / WEIGHTS).unlink()
    (folder / name).write_text(POINTER)
    given = [folder, folder / name] if name.endswith(".bin") else [folder]
    for path in given:
        with pytest.raises(BadInput, match="is a Git LFS pointer") as caught:
            superpose.load(path)
        assert "git lfs pull" in str(caught.value)
        assert "pickle" not in str(caught.value)


def pickled(kind: str, tensors: dict[str, Any]) -> dict[str, Any]:
    whole = {f"base_model.model.{n}.weight": torch.ones(8, 4) for n in ("lm_head", "embed_tokens")}
    shared = torch.randn(8, 4)
    return {
        "plain": tensors,
        "tied": tensors | dict.fromkeys(whole, shared),
        "half of another": tensors | dict.fromkeys(whole, shared[:4]),
        "view": {k: v.t().contiguous().t() for k, v in tensors.items()},
    }[kind]


@pytest.mark.parametrize("kind", ["plain", "tied", "half of another", "view"])
@pytest.mark.parametrize("name", ["adapter_model.bin", "weights.pt"])
def test_the_way_to_convert_a_pickle_works_for_tensors_that_share_memory_and_for_views(
    kind: str, name: str, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("with space")
    right = superpose.load(folder)
    tensors = {k: torch.from_numpy(v) for k, v in load_file(folder / WEIGHTS).items()}
    (folder / WEIGHTS).unlink()
    torch.save(pickled(kind, tensors), folder / name)
    given = folder if name == "adapter_model.bin" else folder / name
    with pytest.raises(BadInput, match="pickle") as caught:
        superpose.load(given)
    if (kind, name) == ("view", "weights.pt"):  # one as it is pasted, for the shell's quotes
        command = command_of(caught.value, "python -c").replace("python", sys.executable, 1)
        subprocess.run(command.replace("FOLDER", f"'{folder}'"), shell=True, check=True)
    else:
        follow(str(caught.value), folder)
    found = superpose.load(folder if given == folder else folder / "weights.safetensors")
    assert found.norm() == right.norm()


def test_a_configuration_of_another_tool_is_not_taken_for_one_that_is_missing(
    tmp_path: Path,
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"config": {}, "model_class": "x"}))
    with pytest.raises(BadInput, match="is an AdapterHub adapter"):
        superpose.load(tmp_path)
