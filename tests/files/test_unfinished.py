"""What a killed run left is found by the next one, told, and removed or put back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from superpose.errors import SuperposeWarning
from superpose.files import atomic, check_free, new_file, new_folder, unfinished
from superpose.files.alive import hold, let_go
from superpose.files.exchange import exchanged
from superpose.files.unfinished import beside, put_in_order, put_in_order_below

LONG = "x" * 200

_WRITES = """
import sys, time
from superpose.files import atomic, new_file, new_folder
kind, out, after = sys.argv[1:]
if after == "in two steps":
    atomic.exchanged = lambda *_: False
    rename = atomic.Path.rename
    def stop(path, to):
        rename(path, to)
        print("there", flush=True)
        time.sleep(60)
    atomic.Path.rename = stop
if kind == "file":
    with new_file(out) as part:
        part.write_text("half")
        print("there", flush=True)
        time.sleep(60)
with new_folder(out, force=True, replaceable={"a"}) as part:
    (part / "a").write_text("half")
    if not after:
        print("there", flush=True)
        time.sleep(60)
"""


def writing(kind: str, out: Path, after: str = "") -> subprocess.Popen[str]:
    """Start a process that stands still in the middle of writing."""
    run = subprocess.Popen(
        [sys.executable, "-c", _WRITES, kind, str(out), after], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "there\n"
    return run


def killed(kind: str, out: Path, after: str = "") -> None:
    with writing(kind, out, after) as run:
        run.send_signal(signal.SIGKILL)


def write(out: Path, text: str = "new") -> None:
    with new_folder(out, force=True, replaceable={"a"}) as part:
        (part / "a").write_text(text)


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("next_one", ["out", "another"])
def test_what_a_kill_leaves_is_removed_by_the_next_run_and_told(
    kind: str, next_one: str, tmp_path: Path
) -> None:
    killed(kind, tmp_path / "out")
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.warns(SuperposeWarning, match=r"was ended left in .*\.out\.superpose-.*MB"):
        write(tmp_path / next_one)
    assert [path.name for path in tmp_path.iterdir()] == [next_one]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_still_written_is_left_alone(kind: str, tmp_path: Path) -> None:
    with writing(kind, tmp_path / "out") as run:
        write(tmp_path / "another")
        assert len(list(tmp_path.iterdir())) == 2
        run.kill()


@pytest.mark.parametrize("name", ["out", LONG, "ä" * 120, os.fsdecode(b"bad\xff name")])
def test_what_a_kill_between_two_renames_set_aside_comes_back(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, "old")
    killed("folder", tmp_path / name, "in two steps")
    assert not (tmp_path / name).exists()
    with pytest.warns(SuperposeWarning) as told:
        check_free(tmp_path / name, force=True, replaceable={"a"})
    assert any("stands as it was before a run" in str(each.message) for each in told)
    assert (tmp_path / name / "a").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_set_aside_comes_back_whatever_is_written_next(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    killed("folder", tmp_path / "out", "in two steps")
    with pytest.warns(SuperposeWarning):
        write(tmp_path / "another")
    assert (tmp_path / "out/a").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"out", "another"}


def test_what_is_set_aside_under_a_cut_name_waits_for_who_knows_the_name(tmp_path: Path) -> None:
    write(tmp_path / LONG, "old")
    killed("folder", tmp_path / LONG, "in two steps")
    with pytest.warns(SuperposeWarning):
        write(tmp_path / "another")
    assert not (tmp_path / LONG).exists()
    assert [path.suffix for path in tmp_path.iterdir() if path.name.startswith(".")] == [".old"]
    with pytest.warns(SuperposeWarning):
        write(tmp_path / LONG, "new")
    assert {path.name for path in tmp_path.iterdir()} == {"another", LONG}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has the step")
def test_a_folder_that_is_replaced_stands_under_its_name_at_every_moment(tmp_path: Path) -> None:
    out, stop = tmp_path / "out", threading.Event()
    write(out, "0")
    missed = []

    def look() -> None:
        while not stop.is_set():
            if not out.exists():
                missed.append(time.time())

    looking = threading.Thread(target=look)
    looking.start()
    for at in range(100):
        write(out, str(at))
    stop.set()
    looking.join()
    assert not missed


def test_an_exchange_is_one_or_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("b")
    if exchanged(tmp_path / "a", tmp_path / "b"):
        assert (tmp_path / "a").read_text() == "b"
        assert (tmp_path / "b").is_dir()
        with pytest.raises(FileNotFoundError):
            exchanged(tmp_path / "a", tmp_path / "gone")
    else:
        assert (tmp_path / "a").is_dir()


def test_where_the_system_exchanges_nothing_folders_are_replaced_in_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "exchanged", lambda *_: False)
    write(tmp_path / "out", "old")
    write(tmp_path / "out", "new")
    assert (tmp_path / "out/a").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_names_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    for name in (".out.1234abcd.part", ".out.superpose-xyz.part", "out.part", ".out.old"):
        (tmp_path / name).write_text("mine")
    put_in_order(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_link_under_such_a_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/a").write_text("years of work")
    link = beside(tmp_path / "out", "part")
    link.symlink_to(tmp_path / "thesis")
    put_in_order(tmp_path)
    assert (tmp_path / "thesis/a").exists()


def test_of_another_machine_only_what_is_a_day_old_is_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "_host", lambda: "ffff")
    left = beside(tmp_path / "out", "part")
    monkeypatch.undo()
    left.write_text("half")
    put_in_order(tmp_path)
    assert left.exists()
    os.utime(left, (time.time() - 2 * 86_400,) * 2)
    with pytest.warns(SuperposeWarning, match="removed"):
        put_in_order(tmp_path)
    assert not left.exists()


def test_a_folder_of_work_is_put_in_order_as_deep_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "work/cells").mkdir(parents=True)
    killed("file", tmp_path / "work/cells/one.json")
    killed("folder", tmp_path / "work/adapter")
    with pytest.warns(SuperposeWarning) as told:
        put_in_order_below(tmp_path / "work")
    assert len(told) == 2
    assert [path.name for path in (tmp_path / "work").rglob("*")] == ["cells"]


def test_a_run_of_which_nothing_is_left_says_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(tmp_path / "out")
        with new_file(tmp_path / "file") as part:
            part.write_text("whole")
        put_in_order_below(tmp_path)


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    held = hold(tmp_path / "f")
    if held is None:
        pytest.skip("this filesystem has no locks")
    with pytest.raises(BlockingIOError):
        hold(tmp_path / "f")
    let_go(held)
    let_go(hold(tmp_path / "f"))
