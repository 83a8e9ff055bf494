"""A folder or file is there whole or not at all, whatever happens on the way."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from superpose.errors import BadInput, OutputExists
from superpose.files import atomic, check_free, check_writable, new_file, new_folder
from superpose.files.checksum import sha256


def write(
    target: Path, text: str = "new", *, then: BaseException | None = None, **options: Any
) -> None:
    with new_folder(target, **options) as folder:
        (folder / "a").write_text(text)
        if then is not None:
            raise then


def write_late(target: Path) -> None:
    with new_folder(target) as folder:
        (folder / "a").write_text("late")
        write(target, "early")


def write_half(target: Path) -> None:
    with new_file(target) as part:
        part.write_text("half")
        raise KeyboardInterrupt


def everything(folder: Path) -> dict[str, str | None]:
    return {
        str(p.relative_to(folder)): p.read_text() if p.is_file() else None
        for p in sorted(folder.rglob("*"))
    }


def test_a_folder_appears_whole_with_its_parents(tmp_path: Path) -> None:
    write(tmp_path / "deep/er/out")
    assert everything(tmp_path / "deep") == {"er": None, "er/out": None, "er/out/a": "new"}


def test_nothing_stands_at_the_final_name_while_it_is_written(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as folder:
        assert folder.parent == tmp_path
        assert not (tmp_path / "out").exists()


FAILURES = {
    "full disk": OSError(errno.ENOSPC, "No space left on device"),
    "Ctrl-C": KeyboardInterrupt(),
    "a bug": ZeroDivisionError(),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("where", ["block", "fsync", "rename", "exchange"])
@pytest.mark.parametrize("force", [False, True], ids=["new", "force"])
def test_a_failure_leaves_what_was_there_before(
    failure: str, where: str, force: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / ("out" if force else "deep/out")
    if force:
        write(target, "old")
    before = everything(tmp_path)
    error = FAILURES[failure]

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    if where == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    if where == "exchange" and force:
        monkeypatch.setattr(atomic, "exchanged", fail)
    if where == "rename" or (where == "exchange" and not force):
        rename = Path.rename
        monkeypatch.setattr(atomic, "exchanged", lambda *_: False)  # as on NFS
        monkeypatch.setattr(
            Path, "rename", lambda p, to: fail() if p.suffix == ".part" else rename(p, to)
        )
    expected = BadInput if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        write(
            target, "half", then=error if where == "block" else None, force=force, replaceable={"a"}
        )
    if expected is BadInput:
        assert "No space left" in str(caught.value)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["ä" * 127, "😀" * 63, "x" * 255])
def test_the_longest_name_that_the_system_takes_can_be_written(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, "old")
    write(tmp_path / name, force=True, replaceable={"a"})
    assert everything(tmp_path) == {name: None, f"{name}/a": "new"}


def test_a_folder_that_nobody_may_list_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(BadInput, match="Permission denied"):
        check_free(tmp_path / "out", force=True)


def test_what_exists_is_not_touched_without_force(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    before = everything(tmp_path)
    for name in ("out", "file"):
        with pytest.raises(OutputExists, match="--force"):
            write(tmp_path / name)
    assert everything(tmp_path) == before


def test_force_replaces_a_folder_of_ours_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    write(tmp_path / "out", "new", force=True, replaceable={"a"})
    assert everything(tmp_path) == {"out": None, "out/a": "new"}


def test_force_does_not_delete_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("mine")
    for name, words in {"home": "thesis.tex", "file": "is not a folder"}.items():
        with pytest.raises(OutputExists, match=words):
            write(tmp_path / name, force=True, replaceable={"a"})
    assert everything(tmp_path)["home/thesis.tex"] == "years of work"


def test_force_where_nothing_stands_writes(tmp_path: Path) -> None:
    write(tmp_path / "out", force=True)
    assert everything(tmp_path) == {"out": None, "out/a": "new"}


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link", "new", force=True, replaceable={"a"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/a").read_text() == "new"


def test_of_two_writers_of_one_folder_the_later_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputExists, match="meanwhile"):
        write_late(tmp_path / "out")
    assert everything(tmp_path) == {"out": None, "out/a": "early"}


def test_asking_first_says_the_same_as_writing(tmp_path: Path) -> None:
    check_free(tmp_path / "out")
    write(tmp_path / "out")
    with pytest.raises(OutputExists):
        check_free(tmp_path / "out")
    check_free(tmp_path / "out", force=True, replaceable={"a"})


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="cannot be written"):
        write(tmp_path / "file/out")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of Unix processes")
def test_a_disk_that_takes_no_more_leaves_nothing(tmp_path: Path) -> None:
    program = f"""
import resource, signal
import numpy as np
import superpose
from superpose.errors import BadInput
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
x = np.ones((64, 64), np.float32)
try:
    superpose.save(superpose.Adapter({{"m": superpose.Delta.of(x, x)}}), {str(tmp_path / "out")!r})
except BadInput as error:
    print(error)
"""
    run = subprocess.run(
        # -B: the limit would cut off what Python compiles, for whoever imports it next.
        [sys.executable, "-B", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written: File too large" in run.stdout
    assert everything(tmp_path) == {}


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    with new_file(tmp_path / "sub/f") as part:
        part.write_text("one")
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "sub/f")
    assert everything(tmp_path / "sub") == {"f": "one"}
    with new_file(tmp_path / "sub/f") as part:
        part.write_text("two")
    assert everything(tmp_path / "sub") == {"f": "two"}


def test_a_checksum_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256(tmp_path / "f").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


def test_a_file_that_could_be_written_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "not/yet/there.html")
    (tmp_path / "old.html").write_text("old")
    check_writable(tmp_path / "old.html")
    assert everything(tmp_path) == {"old.html": "old"}


@pytest.mark.parametrize("name", ["notes.txt/page.html", "notes.txt/new/page.html", "x" * 300])
def test_a_file_that_could_not_be_written_is_named_before_the_work(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="cannot be written") as raised:
        check_writable(tmp_path / name)
    assert raised.value.where == str(tmp_path / name)
    assert everything(tmp_path) == {"notes.txt": "mine"}


def test_a_folder_that_takes_no_file_is_found_by_trying() -> None:
    """Whoever asks: where no rights forbid it, such as root's in /proc, the system still does."""
    with pytest.raises(BadInput, match="cannot be written"):
        check_writable("/proc/self/page.html")


def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for target in (pipe, Path(os.devnull)):
        with pytest.raises(BadInput, match="no file to be replaced"), new_file(target):
            pytest.fail("it was begun")
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]
