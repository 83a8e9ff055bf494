"""What the files of a run say: who is at work, what went wrong, and what a worker makes of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.executor.work import bench_of, tasks_of
from tests.shown.reading import Reading

from superpose.errors import BadInput, Missing, OutputExists
from superpose.executor import Do, Execution, WorkFolder, WorkRun, work_off, work_status
from superpose.executor.claims import claimed, is_held, record_of
from superpose.executor.locks import locked_file
from superpose.executor.worker_error import WorkerError
from superpose.executor.working import work_as, work_through


def begun(folder: Path, count: int = 2) -> WorkRun:
    return WorkRun.begin(folder, tasks_of(count), Execution())


def finish(folder: Path, number: int) -> None:
    (folder / "out").mkdir(exist_ok=True)
    (folder / f"out/{number}.txt").write_text("done")


def said(folder: Path) -> Reading:
    return Reading(work_status(folder)._repr_html_())


def test_a_status_says_how_far_the_work_is_and_who_is_at_it(tmp_path: Path) -> None:
    run = begun(tmp_path)
    (line,) = said(tmp_path).lines
    nobody = "0 of 2 tasks are done (0%); nobody is at work: the same command goes on"
    assert line == f"{tmp_path}: {nobody}"
    with claimed(run, run.tasks[1], 3) as ours:
        assert ours
        shown = said(tmp_path)
        assert shown.lines[0].endswith("the time left is not known before the first is finished")
        (table,) = shown.tables
        assert table.rows[0] == ["at work on", "worker", "machine", "for"]
        assert table.rows[1][:2] == ["task 1", "3"]
        assert table.rows[1][3] in ("0:00", "0:01")
        finish(tmp_path, 0)
        time.sleep(0.02)
        half = work_status(tmp_path)
        assert half.seconds_left == pytest.approx(half.seconds, rel=1e-6)
        assert (
            said(tmp_path)
            .lines[0]
            .startswith(f"{tmp_path}: 1 of 2 tasks are done (50%); about 0:0")
        )
    finish(tmp_path, 1)
    assert said(tmp_path).lines == [f"{tmp_path}: 2 of 2 tasks are done (100%)"]


def test_a_command_that_watches_is_no_worker(tmp_path: Path) -> None:
    begun(tmp_path)
    with locked_file(tmp_path / ".lock"):
        found = work_status(tmp_path)
    assert (found.watched, found.at_work, found.seconds_left) == (True, (), None)
    assert "the time left is not known" in Reading(found._repr_html_()).lines[0]


@pytest.mark.parametrize(
    ("error", "task", "wanted"),
    [
        (BadInput("3 is bad", where="there", hint="Take 4."), "task 1", "there: 3 is bad"),
        (BadInput("3 is bad"), "", "3 is bad"),
        (ZeroDivisionError("by 3"), "task 1", "ZeroDivisionError: by 3"),
    ],
)
def test_what_went_wrong_is_said_with_its_worker_and_task(
    tmp_path: Path, error: Exception, task: str, wanted: str
) -> None:
    run = begun(tmp_path)
    run.fail(WorkerError.of(error, 7, task))
    (failure,) = run.failures
    kind = BadInput if isinstance(error, BadInput) else RuntimeError
    assert type(failure.error) is kind
    assert getattr(failure.error, "hint", None) == getattr(error, "hint", None)
    failed = said(tmp_path).lines[1]
    assert failed.startswith("Failed: " + (f"{task} (worker 7 on" if task else "worker 7 on"))
    assert wanted in failed


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"task": "1", "more": 2}', "{"])
def test_a_damaged_file_of_an_error_is_named(tmp_path: Path, text: str) -> None:
    run = begun(tmp_path)
    (run.control / "error-0.json").write_text(text)
    with pytest.raises(BadInput, match=r"error-0\.json"):
        work_status(tmp_path)


@pytest.mark.parametrize("kind", ["TooNew", "placed", "Iterator"])
def test_an_error_of_a_kind_that_this_version_does_not_have_is_told_by_its_problem(
    kind: str,
) -> None:
    newer = WorkerError("task 1", "worker 0 on here", 0.0, kind, "is of tomorrow")
    assert type(newer.error) is RuntimeError
    assert str(newer.error) == "task 1 (worker 0 on here): is of tomorrow"


def test_a_task_that_is_done_and_leaves_no_file_is_named(tmp_path: Path) -> None:
    run = begun(tmp_path)
    with pytest.raises(RuntimeError, match=r"task 0 was done and left no out/0\.txt"):
        work_through(run, run.tasks, lambda task: None)


def test_a_task_that_was_left_undone_has_no_seconds_and_nobody_holds_it(tmp_path: Path) -> None:
    run = begun(tmp_path)
    first = run.tasks[0]
    with claimed(run, first, 0):
        assert is_held(run, first)
    assert not is_held(run, first)
    assert record_of(run, first).seconds is None
    for lock in tmp_path.glob(".executor/tasks/*.lock"):
        lock.unlink()
    assert not is_held(run, first)
    assert work_status(tmp_path).at_work == ()


@contextmanager
def quicker(folder: Path, there: bool) -> Iterator[Do]:
    """A workbench whose first task finds a result that came meanwhile, or says so of none."""

    def do(number: int) -> None:
        if number or there:
            finish(folder, number)
        if not number:
            raise OutputExists("is there already", where=folder / "out/0.txt")

    yield do


@pytest.mark.parametrize("there", [True, False])
def test_a_result_that_another_machine_wrote_first_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    run = begun(tmp_path)
    run.give(partial(quicker, tmp_path, there))
    work_as(str(tmp_path), run.name, 0)
    assert [each.problem for each in run.failures] == ([] if there else ["is there already"])
    assert work_status(tmp_path).done == (2 if there else 0)


def test_a_worker_whose_commands_folder_is_gone_works_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = begun(tmp_path)
    run.give(bench_of(tmp_path))
    path = tmp_path / ".executor/run.json"
    content = json.loads(path.read_text())
    content["settings"]["cwd"] = str(tmp_path / "gone")
    path.write_text(json.dumps(content))
    work_as(str(tmp_path), run.name, 0)
    assert (run.failures, work_status(tmp_path).done) == ([], 2)
    assert Path.cwd() == tmp_path


def test_what_is_no_place_for_a_lock_is_said(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with (
        pytest.raises(BadInput, match="the filesystem gives no lock here") as refused,
        locked_file(tmp_path / "lock"),
    ):
        pass
    assert refused.value.where == str(tmp_path)


SLURM = Execution(executor="slurm", workers=1)


def test_slurm_that_is_not_there_or_does_not_answer_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    with pytest.raises(Missing, match="Slurm is not here: there is no sbatch and srun") as missing:
        work_off(tmp_path / "work", tasks_of(1), bench_of(tmp_path), SLURM)
    assert "--executor local" in (missing.value.hint or "")
    for name in ("sbatch", "srun"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    with pytest.raises(Missing, match=r"Slurm cannot be reached: sinfo: .*No such file"):
        work_off(tmp_path / "work", tasks_of(1), bench_of(tmp_path), SLURM)
    (tmp_path / "bin/sinfo").write_text("#!/bin/sh\n")
    (tmp_path / "bin/sinfo").chmod(0o755)
    with pytest.raises(Missing, match="Slurm cannot be reached: sinfo shows no partition"):
        work_off(tmp_path / "work", tasks_of(1), bench_of(tmp_path), SLURM)


LOCAL = Execution(executor="slurm", workers=1, slurm={"cluster": "local"})


def test_a_job_is_ended_when_its_worker_is(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    from superpose.executor.places.slurm import SlurmPlace

    run = WorkRun.begin(tmp_path, tasks_of(2), LOCAL)
    run.give(bench_of(tmp_path))
    place = SlurmPlace(run, LOCAL)
    place.start([4])
    while not list(run.control.glob("jobs/*_result.pkl")):
        time.sleep(0.05)
    time.sleep(0.5)  # its process ends a little later
    while not (ended := place.ended()):
        time.sleep(0.1)
    assert ended == [4]
    place.close(at_once=False)
    assert work_status(tmp_path).done == 2


def test_a_job_is_cancelled_when_that_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    from superpose.executor.places.slurm import SlurmPlace

    run = WorkRun.begin(tmp_path, tasks_of(2), LOCAL)
    run.give(bench_of(tmp_path, pause=60.0))
    place = SlurmPlace(run, LOCAL)
    place.start([4])
    assert place.ended() == []
    assert place.ended() == (), "it is not asked at every look"
    while not list(tmp_path.glob("said-*")):
        time.sleep(0.05)
    (path,) = tmp_path.glob("said-*")
    place.close(at_once=True)
    process = int(path.name.partition("-")[2])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert work_status(tmp_path).done == 0


def test_what_may_come_later_is_taken_up_and_left_out_again(tmp_path: Path) -> None:
    """A part of other work is refused by its name, and a look writes nothing."""
    work = WorkFolder(tmp_path / "work", "study", ("paper",))
    work.claim({"seeds": 2})
    known = tmp_path / "work/study.json"
    before = known.read_text()
    work.claim({"seeds": 2, "paper": "a"}, begin=False)
    assert known.read_text() == before
    work.claim({"seeds": 2, "paper": "a"})
    assert json.loads(known.read_text()) == {"seeds": 2, "paper": "a"}
    work.claim({"seeds": 2})
    assert json.loads(known.read_text()) == {"seeds": 2, "paper": "a"}
    for other in ({"seeds": 3}, {"seeds": 2, "paper": "b"}):
        with pytest.raises(BadInput, match=r"holds another study; it differs in (seeds|paper)"):
            work.claim(other)
