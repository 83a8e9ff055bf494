"""A name is a folder here, or an adapter on the hub, or an error that says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import superpose
from superpose.errors import BadInput, Missing, MissingBase, MissingExtra
from superpose.files import locate, short_name, short_names
from superpose.files.base import locate_base
from superpose.files.hub import fetch

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of its own, as huggingface_hub lays it out; gives the snapshot of org/math."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repo = tmp_path / "hub/models--org--math"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text(COMMIT)
    (repo / "refs/v1").write_text(COMMIT)
    (repo / f"snapshots/{COMMIT}").mkdir(parents=True)
    return repo / f"snapshots/{COMMIT}"


@pytest.mark.parametrize("name", ["org/math", "org/math@v1", f"org/math@{COMMIT}"])
def test_a_hub_name_with_or_without_revision_is_found_in_the_cache(
    name: str, cache: Path, write_adapter: WriteAdapter
) -> None:
    for file in write_adapter("a").iterdir():
        file.rename(cache / file.name)
    adapter = superpose.load(name)
    assert adapter.path == name
    assert len(adapter) == 2


def test_an_adapter_may_lie_deeper_in_its_repository(
    cache: Path, write_adapter: WriteAdapter
) -> None:
    (cache / "best").mkdir()
    for file in write_adapter("a").iterdir():
        file.rename(cache / "best" / file.name)
    assert superpose.load("org/math/best").name == "best"
    with pytest.raises(BadInput, match="Give one: org/math/best"):
        superpose.load("org/math")


def test_what_exists_here_wins_over_the_hub(
    cache: Path, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter("org/math")
    monkeypatch.chdir(folder.parent.parent)
    assert locate("org/math") == Path("org/math")


@pytest.mark.usefixtures("cache")
def test_offline_a_name_that_the_cache_lacks_has_both_meanings() -> None:
    for name in ("org/nothing", "org/math@v2"):
        with pytest.raises(Missing, match="no folder here, and it is not in the hub's cache"):
            locate(name)


def test_without_huggingface_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"superpose\[hub\]"):
        locate("org/math")


@pytest.mark.parametrize(
    "name",
    ["math", "./org/math", "/org/math", "org//math", "org\\math", "../x", "a/../b", "~/x", ""],
)
def test_what_can_only_be_a_path_never_asks_the_hub(
    name: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput):
        locate(name)
    with pytest.raises(BadInput, match="not a hub name"):
        fetch(name)


def test_a_file_of_a_peft_folder_is_answered_with_the_folder(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    with pytest.raises(BadInput, match="is a file") as caught:
        locate(folder / "adapter_model.safetensors")
    assert str(folder) in str(caught.value)


def test_a_file_is_an_adapter_where_its_ending_says_so(tmp_path: Path) -> None:
    for name in ("ink.safetensors", "math.gguf"):
        (tmp_path / name).touch()
        assert locate(tmp_path / name) == tmp_path / name
    for name, said in (("notes.txt", r"other adapters end in \.saf"), ("ink.pt", "is a pickle")):
        (tmp_path / name).touch()
        with pytest.raises(BadInput, match=said):
            locate(tmp_path / name)


def test_a_folder_of_diffusers_means_its_one_file(
    tmp_path: Path, write_adapter: WriteAdapter
) -> None:
    image = "pytorch_lora_weights.safetensors"
    (tmp_path / image).touch()
    assert locate(tmp_path) == tmp_path / image
    folder = write_adapter("a")
    (folder / image).touch()
    assert locate(folder) == folder


def test_a_base_model_is_a_folder_here_or_named_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    (tmp_path / "model.safetensors").touch()
    assert locate_base("gpt2").folder == Path("gpt2")
    with pytest.raises(BadInput, match="is a file; a base model is a folder"):
        locate_base("model.safetensors")
    for name in ("./nothing", "gpt2/nothing"):
        with pytest.raises(MissingBase, match="there is no such folder"):
            locate_base(name)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("runs/math", "math"),
        ("runs/math/", "math"),
        ("C:\\runs\\math", "math"),
        ("org/m@v1", "m@v1"),
    ],
)
def test_an_adapter_is_called_by_the_last_part_of_its_name(given: str, name: str) -> None:
    assert short_name(given) == name


def test_a_dot_is_called_by_the_folder_it_stands_for(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "math/in").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "math")
    assert short_name(".") == "math"
    monkeypatch.chdir(tmp_path / "math/in")
    assert short_name("..") == "math"


def test_a_name_too_long_for_any_folder_is_bad_input() -> None:
    with pytest.raises(BadInput, match="File name too long"):
        locate("x" * 300)


def test_short_names_stay_apart() -> None:
    names = ["a/x", "b/x", "c/y", "d/", "e\\z", "/"]
    assert list(short_names(names).values()) == ["a/x", "b/x", "y", "d", "z", "/"]


@pytest.mark.parametrize(
    "variable", ["SUPERPOSE_CACHE", "XDG_CACHE_HOME", "HF_HUB_CACHE", "HF_HOME"]
)
def test_a_home_of_nobody_is_a_name_as_others_in_every_variable(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from superpose.files import embedded, hub_base

    for other in ("SUPERPOSE_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(variable, "~nosuchuser/kept")
    found = [embedded.cache_folder(), hub_base._hub_cache()]
    named = [path for path in found if path.is_relative_to("~nosuchuser/kept")]
    assert len(named) == (2 if variable == "XDG_CACHE_HOME" else 1)


def test_a_folder_of_nobody_is_no_folder_here_for_a_server() -> None:
    from superpose.errors import BadSetting
    from superpose.serving.settings import ServerSettings

    with pytest.raises(BadSetting, match="`~nosuchuser/a` is no folder here"):
        ServerSettings.from_environment({"SUPERPOSE_ADAPTERS": "~nosuchuser/a"})
