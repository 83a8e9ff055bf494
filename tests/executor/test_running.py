"""Tasks are done once, whoever is killed meanwhile; the files tell how far they are."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.executor.work import bench_of, events, tasks_of

from superpose.errors import BadInput, BadSetting
from superpose.executor import Execution, WorkFolder, WorkStatus, work_off, work_status

TWO = Execution(workers=2)


def _results(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("out/*.txt")}


def _squares(count: int) -> dict[str, str]:
    return {f"{n}.txt": f"{n} squared is {n**2}" for n in range(count)}


def _done(folder: Path) -> list[int]:
    return sorted(int(what) for what, _ in events(folder) if what != "open")


@pytest.mark.parametrize("execution", [Execution(), TWO], ids=["in process", "two workers"])
def test_every_task_is_done_once_and_a_worker_opens_its_bench_once(
    tmp_path: Path, execution: Execution
) -> None:
    finished: list[str] = []
    work_off(
        tmp_path,
        tasks_of(8, chain=True),
        bench_of(tmp_path),
        execution,
        finished=lambda task, seconds: finished.append(task.name),
    )
    assert _results(tmp_path) == _squares(8)
    assert _done(tmp_path) == list(range(8))
    assert finished == [f"task {n}" for n in range(8)]
    opened = [process for what, process in events(tmp_path) if what == "open"]
    assert len(opened) == len(set(opened)) <= execution.workers
    assert (str(os.getpid()) in opened) == execution.in_process


def test_the_same_command_goes_on_with_what_is_left(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="3 is not to be had"):
        work_off(tmp_path, tasks_of(6), bench_of(tmp_path, fail=3))
    work_off(tmp_path, tasks_of(6), bench_of(tmp_path), TWO)
    assert _results(tmp_path) == _squares(6)
    assert _done(tmp_path) == [0, 1, 2, 3, 3, 4, 5]
    before = events(tmp_path)
    work_off(tmp_path, tasks_of(6), bench_of(tmp_path, fail=0), TWO)
    assert events(tmp_path) == before


def test_a_worker_that_is_killed_is_replaced_and_its_task_alone_is_begun_again(
    tmp_path: Path,
) -> None:
    work_off(tmp_path, tasks_of(6), bench_of(tmp_path, kill=2, pause=0.05), TWO)
    assert _results(tmp_path) == _squares(6)
    assert _done(tmp_path) == [0, 1, 2, 2, 3, 4, 5]


def test_a_task_that_ends_every_worker_is_given_up_by_name(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, kill=1, always=True)
    with pytest.raises(BadInput, match="task 1 was begun 3 times, and no worker lived to its end"):
        work_off(tmp_path, tasks_of(4), bench, TWO)
    assert _done(tmp_path).count(1) == 3
    work_off(tmp_path, tasks_of(4), bench_of(tmp_path), TWO)
    assert _results(tmp_path) == _squares(4)


def test_an_error_says_task_and_worker_and_lets_the_others_finish_theirs(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"task 0 \(worker \d .*\): there: 0 is not to be had\nTa"):
        work_off(tmp_path, tasks_of(40), bench_of(tmp_path, fail=0, pause=0.3), TWO)
    begun = _done(tmp_path)
    assert len(_results(tmp_path)) == len(begun) - 1 < 10
    assert "0 is not to be had" in work_status(tmp_path).failed[0]


def test_a_worker_that_cannot_open_its_bench_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"worker \d on .*: base: this worker has another base"):
        work_off(tmp_path, tasks_of(4), bench_of(tmp_path, refused=True), TWO)
    assert _results(tmp_path) == {}


def test_workers_of_another_version_are_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    work_off(tmp_path, tasks_of(2), bench_of(tmp_path))
    from superpose.executor import WorkRun
    from superpose.executor.working import work_as

    run = WorkRun.begin(tmp_path, tasks_of(4), TWO)
    run.give(bench_of(tmp_path))
    path = tmp_path / ".executor/run.json"
    content = json.loads(path.read_text())
    content["versions"] |= {"superpose": "0.0.9", "torch": "1.0"}
    path.write_text(json.dumps(content))
    work_as(str(tmp_path), run.name, 0)
    (failure,) = run.failures
    assert "superpose 0.1.0, not 0.0.9; torch " in failure.problem
    assert _results(tmp_path) == _squares(2)
    work_off(tmp_path, tasks_of(4), bench_of(tmp_path))
    assert _done(tmp_path) == [0, 1, 2, 3]


_HEAD = """
import sys
from pathlib import Path
from superpose.executor import Execution, WorkFolder, work_off
from tests.executor.work import bench_of, tasks_of
folder = WorkFolder(sys.argv[1], "work")
folder.claim({"tasks": 12})
with folder.locked():
    work_off(folder.path, tasks_of(12), bench_of(folder.path, pause=0.15), Execution(workers=2))
"""


@contextmanager
def _head(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that is at work there; killed where the test has not ended it."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    command = [sys.executable, "-c", _HEAD, str(folder)]
    with subprocess.Popen(command, env=environment) as head:
        try:
            yield head
        finally:
            head.kill()


def _until(folder: Path, count: int) -> WorkStatus:
    """Wait until so many tasks are done and a worker is at another."""
    until = time.monotonic() + 120
    while True:
        assert time.monotonic() < until
        if len(_results(folder)) >= count and (status := work_status(folder)).at_work:
            return status
        time.sleep(0.02)


def test_a_command_that_is_killed_takes_its_workers_along_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "work"
    with _head(folder) as head:
        status = _until(folder, 3)
        assert status.watched
        assert status.done >= 3
        assert len(status.at_work) <= 2
        assert status.seconds_left is not None
        other = WorkFolder(folder, "work").locked()
        with pytest.raises(BadInput, match="another process is running this work"), other:
            pass
        head.send_signal(signal.SIGKILL)
        head.wait()
    before = set(_results(folder))
    work_off(folder, tasks_of(12), bench_of(folder), TWO)
    assert _results(folder) == _squares(12)
    done = _done(folder)
    assert len(done) <= 12 + 2
    assert all(done.count(int(name.removesuffix(".txt"))) == 1 for name in before)


def test_ctrl_c_leaves_nothing_half_done(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    with _head(folder) as head:
        _until(folder, 2)
        head.send_signal(signal.SIGINT)
        assert head.wait(60) != 0
    status = work_status(folder)
    assert (status.watched, status.at_work) == (False, ())
    assert "nobody is at work: the same command goes on" in str(status.shown()[0])


def test_a_folder_that_is_not_ours_to_write_to_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    told, say = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = os.fork()
    if not child:  # root may write everywhere
        with suppress(PermissionError):
            os.setuid(65534)
        try:
            with WorkFolder(tmp_path, "work").locked():
                say.send("nothing was refused")
        except BadInput as refused:
            say.send(str(refused))
        os._exit(0)
    os.waitpid(child, 0)
    said = told.recv()
    tmp_path.chmod(0o755)
    assert said.startswith(f"{tmp_path}: cannot be written to: Permission denied\n")
    assert "take a folder that is yours" in said


def _work(folder: Path) -> None:
    work_off(folder, tasks_of(10), bench_of(folder, pause=0.02))


def test_two_commands_that_meet_in_one_folder_do_nothing_twice(tmp_path: Path) -> None:
    """Also where the folder's own lock was not asked for: tasks have theirs."""
    context = multiprocessing.get_context("fork")
    heads = [context.Process(target=_work, args=(tmp_path,)) for _ in range(2)]
    for head in heads:
        head.start()
    for head in heads:
        head.join(60)
    while len(_results(tmp_path)) < 10:  # the first one's run was over when the second began
        _work(tmp_path)
    assert _done(tmp_path) == list(range(10))


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"executor": "dask"}, "executor"),
        ({"workers": 0}, "workers"),
        ({"workers": 1.5}, "workers"),
        ({"gpus_per_task": -1}, "gpus_per_task"),
        ({"cpus_per_task": 0}, "cpus_per_task"),
        ({"slurm": {"partition": "gpu"}}, "slurm"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(wrong: dict[str, Any], setting: str) -> None:
    with pytest.raises(BadSetting) as caught:
        Execution(**wrong)
    assert caught.value.where == setting


def test_each_local_worker_has_its_own_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    from superpose.executor.places.local import gpu_shares

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert gpu_shares(Execution(workers=3)) == [["4"], ["5"], ["6"]]
    assert gpu_shares(Execution(workers=5)) == [["4"], ["5"], ["6"], ["7"], ["4"]]
    assert gpu_shares(Execution(workers=2, gpus_per_task=2)) == [["4", "5"], ["6", "7"]]
    assert gpu_shares(Execution(workers=2, gpus_per_task=0)) == [[], []]
    with pytest.raises(BadSetting, match="2 workers of 3 GPUs each are more than the 4 that are"):
        gpu_shares(Execution(workers=2, gpus_per_task=3))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_shares(Execution(workers=2)) == [None]


def test_a_folder_in_which_nothing_was_begun_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing was begun here"):
        work_status(tmp_path)
