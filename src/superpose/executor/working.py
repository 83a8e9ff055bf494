"""What a worker does: it opens the workbench once, and does what is open until nothing is."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from superpose.errors import OutputExists
from superpose.executor.claims import claimed
from superpose.executor.run import WorkRun
from superpose.executor.task import Do, Task
from superpose.executor.versions import check_versions
from superpose.executor.worker_error import WorkerError

__all__ = ["work_as", "work_through"]

_PAUSES = 0.05, 2.0
"""Seconds between looks at tasks that others are doing: at first, and at most."""


def work_as(folder: str, name: str, worker: int) -> None:
    """Be a worker of a run until nothing is open; what goes wrong is written down beside it.

    folder: of the work. name: of the run; where another one was begun meanwhile there is nothing
    to do. worker: its number.
    """
    run = WorkRun.newest(Path(folder))
    if run is None or run.name != name or run.is_over:
        return
    try:
        check_versions(run.versions, run.folder)
        _settle(run)
        tasks, workbench = run.take()
        with workbench() as do:
            work_through(run, tasks, _told(run, worker, do), worker)
    except _TaskFailed:
        pass  # written down with the name of its task
    except Exception as error:  # noqa: BLE001 - the command raises it again
        run.fail(WorkerError.of(error, worker))


def work_through(
    run: WorkRun,
    tasks: Sequence[Task],
    do: Callable[[Task], object],
    worker: int = 0,
    finished: Callable[[Task], None] = lambda _: None,
) -> None:
    """Do every open task, in their order, and wait for those that others are doing.

    do: does one. finished: told of each that was done here. Ends early where the run is over.
    """
    left = dict.fromkeys(tasks)
    pause, most = _PAUSES
    while left:
        for task in [task for task in left if run.is_done(task)]:
            del left[task]
        task_done = _one(run, list(left), do, worker)
        if task_done is not None:
            finished(task_done)
            pause = _PAUSES[0]
        elif run.is_over:
            return
        elif left:
            time.sleep(pause)
            run.look_again(list(left))
            pause = min(2 * pause, most)


def _one(
    run: WorkRun, left: Sequence[Task], do: Callable[[Task], object], worker: int
) -> Task | None:
    """Do the first task that is open; None where none is."""
    if run.is_over:
        return None
    waiting = {task.file for task in left}
    for task in left:
        if not waiting.isdisjoint(task.after):
            continue
        with claimed(run, task, worker) as ours:
            if ours:
                do(task)
                if not run.is_done(task):
                    raise RuntimeError(f"{task.name} was done and left no {task.file}")
                return task
    return None


class _TaskFailed(Exception):
    """A task's error, which is on disk already."""


def _told(run: WorkRun, worker: int, do: Do) -> Callable[[Task], None]:
    """Give what does a task and writes down what went wrong with it."""

    def do_one(task: Task) -> None:
        try:
            do(*task.arguments)
        except OutputExists as error:
            # Where locks do not reach from machine to machine, another may have been quicker.
            if not run.is_done(task):
                run.fail(WorkerError.of(error, worker, task.name))
                raise _TaskFailed from error
        except Exception as error:
            run.fail(WorkerError.of(error, worker, task.name))
            raise _TaskFailed from error

    return do_one


def _settle(run: WorkRun) -> None:
    """Be where the command is: its folder, its modules, its caches."""
    for key, value in run.settings["environment"].items():
        os.environ.setdefault(key, value)
    sys.path += [entry for entry in run.settings["path"] if entry not in sys.path]
    if Path(run.settings["cwd"]).is_dir():
        os.chdir(run.settings["cwd"])
