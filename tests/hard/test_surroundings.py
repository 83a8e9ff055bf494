"""Where a command runs: full disks, folders without a right, odd names, no home, no terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.hard.jobs import JOBS, state_of
from tests.hard.test_kills import arguments

if TYPE_CHECKING:
    from tests.conftest import Superpose

ODD = {
    "a newline": b"two\nlines",
    "a colon": b"c:1",
    "a leading dash": b"-o",
    "255 bytes": b"x" * 255,
    "no UTF-8": b"bad\xff\xfe",
    "a tab and an escape": b"a\tb\x1b[31m",
    "quotes and spaces": b'it\'s "so" $HOME `id`',
    "a leading tilde": b"~root",
    "a plus": b"a + b",
}
"""File names that the system takes."""


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Path]:
    """Mount a disk of so many bytes there; skips where only root may."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here: root may, outside of a container without rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", [name for name in JOBS if name != "train"])
@pytest.mark.parametrize("kib", [4, 12, 28])
def test_a_full_disk_is_one_line_and_leaves_what_stood_there(
    name: str, kib: int, inputs: Path, tmp_path: Path, superpose: Superpose
) -> None:
    job = JOBS[name]
    with mounted(tmp_path / "disk", 128 * 2**20) as disk:
        if job.old:
            assert superpose(*arguments(job.old, inputs, job.out), cwd=disk).returncode == 0
        old = state_of(disk / job.out)
        filler = disk / "filler"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
        filler.write_bytes(bytes(free - kib * 1024))
        ended = superpose(*arguments(job.args, inputs, job.out), cwd=disk)
        if ended.returncode == 0:
            assert state_of(disk / job.out) not in (None, old)
        else:
            assert ended.returncode == 2, ended.stderr
            assert ended.stderr.count("error: ") == 1
            assert "No space left" in ended.stderr or "the disk has" in ended.stderr
            assert state_of(disk / job.out) == old
        assert "Traceback" not in ended.stderr
        assert {path.name for path in disk.iterdir()} <= {"filler", job.out}
        filler.unlink()
        again = superpose(*arguments(job.args, inputs, job.out), cwd=disk)
        assert again.returncode == 0 or "already exists" in again.stderr, again.stderr


@pytest.mark.parametrize("name", [name for name in JOBS if name != "train"])
def test_a_disk_that_is_only_read_is_one_line(
    name: str, inputs: Path, tmp_path: Path, superpose: Superpose
) -> None:
    job = JOBS[name]
    with mounted(tmp_path / "disk", 128 * 2**20) as disk:
        if job.old:
            assert superpose(*arguments(job.old, inputs, job.out), cwd=disk).returncode == 0
        old = state_of(disk / job.out)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        ended = superpose(*arguments(job.args, inputs, job.out), cwd=disk)
        assert ended.returncode == 2
        assert "Read-only file system" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert state_of(disk / job.out) == old


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_are_written_read_and_shown_as_text(
    odd: str, inputs: Path, tmp_path: Path, superpose: Superpose
) -> None:
    name = os.fsdecode(ODD[odd])
    out = tmp_path / name
    made = superpose("add", inputs / "math", inputs / "law", "-o", out)
    assert made.returncode == 0, made.stderr
    assert out.is_dir()
    again = superpose("add", inputs / "math", f"{out}:0.5", "-o", out, "--force", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    for command in (("info", out), ("check", out, inputs / "math"), ("info", out, "--json")):
        shown = superpose(*command, cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
        assert "\x1b" not in shown.stdout + shown.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_parents_that_are_missing_are_made_and_links_followed(
    inputs: Path, tmp_path: Path, superpose: Superpose
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    math = inputs / "math"
    for out in ("a/b/c/sum", "link/sum"):
        assert superpose("add", math, math, "-o", tmp_path / out).returncode == 0
    assert (tmp_path / "real/sum").is_dir()
    for out in ("round/sum", "dangling"):
        ended = superpose("add", math, math, "-o", tmp_path / out)
        assert ended.returncode == 2, out
        assert "Traceback" not in ended.stderr


SURROUNDINGS: dict[str, dict[str, str | None]] = {
    "no HOME": {"HOME": None, "XDG_CACHE_HOME": None},
    "a HOME that is not there": {"HOME": "/nowhere/at/all", "XDG_CACHE_HOME": None},
    "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "20 columns": {"COLUMNS": "20"},
    "no columns": {"COLUMNS": "0"},
    "columns that are no number": {"COLUMNS": "wide"},
    "no TERM": {"TERM": None},
    "a dumb TERM": {"TERM": "dumb", "FORCE_COLOR": "1"},
}


@pytest.mark.parametrize("where", SURROUNDINGS)
@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_commands_run_wherever_they_are(
    where: str, terminal: bool, inputs: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, **{k: v for k, v in SURROUNDINGS[where].items() if v is not None}}
    for name in (name for name, value in SURROUNDINGS[where].items() if value is None):
        environment.pop(name, None)
    (tmp_path / "größe-中").symlink_to(inputs / "math")
    for args in (
        ["check", str(tmp_path / "größe-中"), str(inputs / "law")],
        ["add", str(tmp_path / "größe-中"), str(inputs / "law"), "-o", str(tmp_path / "sum")],
        ["info", str(tmp_path / "sum")],
        ["--help"],
    ):
        code, said = ran(args, environment, terminal)
        assert code == 0, (args, said)
        assert "Traceback" not in said


def ran(args: list[str], environment: dict[str, str], terminal: bool) -> tuple[int, str]:
    """Run a command, its output a pipe or a terminal of 20 columns."""
    command = [sys.executable, "-m", "superpose", *args]
    if not terminal:
        ended = subprocess.run(command, env=environment, capture_output=True, check=False)
        return ended.returncode, (ended.stdout + ended.stderr).decode("utf-8", "replace")
    ours, theirs = pty.openpty()
    run = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so when the last one at the other end is gone
            break
        if not part:
            break
        said += part
    os.close(ours)
    return run.wait(60), said.decode("utf-8", "replace")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "| head -1", "| true"])
def test_streams_that_are_closed_or_left_are_no_traceback(
    closed: str, inputs: Path, tmp_path: Path
) -> None:
    program = f'"{sys.executable}" -m superpose check "$1" "$2" {closed}'
    ended = subprocess.run(
        ["bash", "-c", program, "bash", str(inputs / "math"), str(inputs / "law")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
