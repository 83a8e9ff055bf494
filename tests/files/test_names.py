"""A name is a folder here, or an adapter on the hub, or an error that says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import superpose
from superpose.errors import BadInput, MissingExtra
from superpose.files import locate, short_name
from superpose.files.hub import fetch, is_hub_name

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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
    name: str, hub: Path, write_adapter: WriteAdapter
) -> None:
    for file in write_adapter("a").iterdir():
        file.rename(hub / file.name)
    adapter = superpose.load(name)
    assert adapter.path == name
    assert len(adapter) == 2


def test_an_adapter_may_lie_deeper_in_its_repository(
    hub: Path, write_adapter: WriteAdapter
) -> None:
    (hub / "best").mkdir()
    for file in write_adapter("a").iterdir():
        file.rename(hub / "best" / file.name)
    assert superpose.load("org/math/best").name == "best"
    with pytest.raises(BadInput, match="Give one: org/math/best"):
        superpose.load("org/math")


def test_what_exists_here_wins_over_the_hub(
    hub: Path, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter("org/math")
    monkeypatch.chdir(folder.parent.parent)
    assert locate("org/math") == Path("org/math")


@pytest.mark.usefixtures("hub")
def test_a_name_that_the_hub_does_not_have_is_bad_input_with_both_meanings() -> None:
    with pytest.raises(BadInput, match="no folder here, and the hub does not give it"):
        locate("org/nothing")
    with pytest.raises(BadInput, match="no folder here, and the hub does not give it"):
        locate("org/math@v2")


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
    assert not is_hub_name(name)
    with pytest.raises(BadInput):
        locate(name)
    with pytest.raises(BadInput, match="not a hub name"):
        fetch(name)


def test_a_file_in_place_of_a_folder_is_answered_with_the_folder(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a")
    with pytest.raises(BadInput, match="is a file") as caught:
        locate(folder / "adapter_model.safetensors")
    assert str(folder) in str(caught.value)


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
