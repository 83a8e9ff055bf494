"""Who does a task: a lock that dies with its holder, and a record of everyone who began it."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from superpose.errors import BadInput
from superpose.executor.locks import locked_file
from superpose.executor.run import CONTROL, WorkRun
from superpose.executor.task import Task

__all__ = ["ATTEMPTS", "Begun", "TaskRecord", "claimed", "record_of"]

ATTEMPTS = 3
"""Times that a task of a run is begun: one that ends its worker every time would go on for ever."""


@dataclass(frozen=True)
class Begun:
    """A worker that began a task. at: seconds since 1970."""

    run: str
    worker: int
    host: str
    process: int
    at: float


@dataclass(frozen=True)
class TaskRecord:
    """Who began a task, and how many seconds it took where one of them ended it."""

    begun: tuple[Begun, ...] = field(default=())
    seconds: float | None = None

    def in_run(self, run: WorkRun) -> list[Begun]:
        """Those who began it in this run."""
        return [each for each in self.begun if each.run == run.name]


def record_of(run: WorkRun, task: Task) -> TaskRecord:
    """Read a task's record; an empty one where there is none, or a kill left half of it."""
    try:
        content = json.loads(_beside(run, task, "json").read_text(encoding="utf-8"))
        begun = tuple(Begun(**each) for each in content["begun"])
        return TaskRecord(begun, content["seconds"])
    except (OSError, ValueError, TypeError, KeyError):
        return TaskRecord()


@contextmanager
def claimed(run: WorkRun, task: Task, worker: int) -> Iterator[bool]:
    """Hold a task for the block; gives whether there is something to do.

    There is not where another worker holds it, or where it is done. Raises BadInput where it was
    begun so often that it seems to end its workers.
    """
    lock = _beside(run, task, "lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with locked_file(lock) as ours:
        if not ours:
            yield False
            return
        known = record_of(run, task)
        if known.seconds is not None:
            run.look_again([task])
        if run.is_done(task):
            yield False
            return
        if len(known.in_run(run)) >= ATTEMPTS:
            raise _keeps_ending(run, task, known)
        now = Begun(run.name, worker, socket.gethostname(), os.getpid(), time.time())
        known = TaskRecord((*known.begun, now))
        _write(run, task, known)
        started = time.perf_counter()
        yield True
        if run.is_done(task):
            _write(run, task, replace(known, seconds=round(time.perf_counter() - started, 3)))


def is_held(run: WorkRun, task: Task) -> bool:
    """Whether a worker is at this task now."""
    lock = _beside(run, task, "lock")
    if not lock.exists():
        return False
    with locked_file(lock) as free:
        return not free


def _write(run: WorkRun, task: Task, record: TaskRecord) -> None:
    # In place, under the lock: a file that was renamed there would be an old one to other machines
    # for as long as they remember it.
    path = _beside(run, task, "json")
    with path.open("w", encoding="utf-8") as file:
        json.dump({"task": task.name, **asdict(record)}, file)
        file.flush()
        os.fsync(file.fileno())


def _beside(run: WorkRun, task: Task, kind: str) -> Path:
    digest = hashlib.sha256(task.file.encode()).hexdigest()[:24]
    return run.folder / CONTROL / "tasks" / f"{digest}.{kind}"


def _keeps_ending(run: WorkRun, task: Task, known: TaskRecord) -> BadInput:
    last = known.begun[-1]
    return BadInput(
        f"{task.name} was begun {len(known.in_run(run))} times, and no worker lived to its end; "
        f"the last was worker {last.worker} on {last.host}",
        where=run.log(last.worker).parent,
        hint="Look there for its last words. It may want more memory, or a longer time limit.",
    )
