"""What an operator allows is read from the environment, and a mistake in it is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from superpose.errors import BadSetting
from superpose.serving.settings import VARIABLES, ServerSettings


def read(**variables: str) -> ServerSettings | None:
    return ServerSettings.from_environment({f"SUPERPOSE_{k}": v for k, v in variables.items()})


def test_nothing_is_served_where_nothing_is_allowed() -> None:
    assert read() is None
    assert read(SUMS="/somewhere", ADAPTERS="", HUB_OWNERS="") is None


def test_every_variable_counts(tmp_path: Path) -> None:
    both = [tmp_path / "a", tmp_path / "b"]
    for folder in both:
        folder.mkdir()
    found = read(
        ADAPTERS=os.pathsep.join(map(str, both)), HUB_OWNERS="Org, other/math",
        SUMS=str(tmp_path / "kept"), SUMS_SIZE="1.5GB", MAX_LORA_RANK="64", SAME_BASE="1",
    )  # fmt: skip
    assert found == ServerSettings(
        tuple(both), frozenset({"org", "other/math"}), tmp_path / "kept", 1_500_000_000, 64, True
    )
    assert len(VARIABLES) == 6


def test_left_out_ones_have_values_that_are_vllms_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERPOSE_CACHE", str(tmp_path / "cache"))
    found = read(ADAPTERS=str(tmp_path))
    assert found == ServerSettings((tmp_path,), frozenset(), tmp_path / "cache/sums")
    assert found.max_rank == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADAPTERS", "/nowhere/at/all"),
        ("HUB_OWNERS", "org,../x"),
        ("SUMS_SIZE", "many"),
        ("SUMS_SIZE", "0GB"),
        ("SUMS_SIZE", "-1GB"),
        ("MAX_LORA_RANK", "24"),
        ("MAX_LORA_RANK", "16.0"),
        ("SAME_BASE", "perhaps"),
    ],
)
def test_a_variable_that_means_nothing_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"SUPERPOSE_{name}: `"):
        read(**{"ADAPTERS": str(tmp_path), name: value})


@pytest.mark.parametrize(
    ("text", "count"), [("1000", 1000), ("2 kb", 2000), ("3M", 3_000_000), ("1GB", 10**9)]
)
def test_sizes_are_written_as_people_do(tmp_path: Path, text: str, count: int) -> None:
    found = read(ADAPTERS=str(tmp_path), SUMS_SIZE=text)
    assert found is not None
    assert found.limit == count
