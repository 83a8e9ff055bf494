"""How far work is, from its files alone: in another shell, or on another machine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superpose.errors import BadInput
from superpose.executor.claims import is_held, record_of
from superpose.executor.locks import locked_file
from superpose.executor.run import WorkRun
from superpose.executor.task import Task
from superpose.shown import Column, Line, Part, Shown, Table

__all__ = ["AtWork", "WorkStatus", "seconds_taken", "work_status"]


@dataclass(frozen=True)
class AtWork:
    """A task that a worker is doing, and for how many seconds."""

    task: str
    worker: int
    host: str
    process: int
    seconds: float


@dataclass(frozen=True)
class WorkStatus(Shown):
    """How far the newest run of a folder is.

    share: of the work that is done, from 0 to 1. seconds_left: at the pace of this run; None where
    nothing was finished in it yet, or nobody is at work. watched: whether the command runs that
    began it. failed: what went wrong in it.
    """

    folder: Path
    executor: str
    workers: int
    tasks: int
    done: int
    share: float
    seconds: float
    seconds_left: float | None
    watched: bool
    at_work: tuple[AtWork, ...]
    failed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what `--status --json` prints."""
        return vars(self) | {
            "folder": str(self.folder),
            "at_work": [vars(each) for each in self.at_work],
            "failed": list(self.failed),
        }

    def shown(self) -> tuple[Part, ...]:
        """Give how far it is, who is at what, and what went wrong."""
        return tuple(self._parts())

    def _parts(self) -> Iterator[Part]:
        said = f"{self.folder}: {self.done} of {self.tasks} tasks are done ({self.share:.0%})"
        if self.done < self.tasks:
            said += f"; {self._outlook()}"
        yield Line(said)
        if self.at_work:
            columns = (
                Column("at work on", "task"),
                Column("worker", "worker", "d"),
                Column("machine", "host"),
                Column("for", lambda each: _duration(each.seconds)),
            )
            yield Table.of(
                f"Executor {self.executor}, workers: {self.workers}", columns, self.at_work
            )
        for failure in self.failed:
            yield Line(failure, "Failed:")

    def _outlook(self) -> str:
        if not (self.at_work or self.watched):
            return "nobody is at work: the same command goes on"
        if self.seconds_left is None:
            return "the time left is not known before the first is finished"
        return f"about {_duration(self.seconds_left)} left"


def work_status(folder: str | Path) -> WorkStatus:
    """Tell how far the work in a folder is. Raises BadInput where none was begun there."""
    folder = Path(folder)
    run = WorkRun.newest(folder)
    if run is None:
        raise BadInput("nothing was begun here, or it was done by an older version", where=folder)
    open_ = [task for task in run.tasks if not run.is_done(task)]
    work = sum(task.work for task in run.tasks) or 1.0
    left = sum(task.work for task in open_)
    at_work = tuple(_at_work(run, open_))
    with locked_file(folder / ".lock") as free:
        watched = not free
    seconds = max(0.0, time.time() - run.begun)
    before = sum(task.work for task in run.tasks if task.file in run.done)
    now = work - left - before
    pace = now / seconds if now > 0 and seconds and (watched or at_work) else None
    failures = run.failures
    return WorkStatus(
        folder=folder,
        executor=run.executor,
        workers=run.workers,
        tasks=len(run.tasks),
        done=len(run.tasks) - len(open_),
        share=1 - left / work,
        seconds=seconds,
        seconds_left=left / pace if pace and left else None,
        watched=watched,
        at_work=at_work,
        failed=tuple(str(failure.error) for failure in failures),
    )


def seconds_taken(folder: str | Path, tasks: Iterable[Task]) -> float:
    """Give the seconds that tasks took which are done, all workers' together, in whatever run."""
    run = WorkRun.newest(Path(folder))
    return sum(record_of(run, task).seconds or 0.0 for task in tasks) if run else 0.0


def _at_work(run: WorkRun, tasks: list[Task]) -> Iterator[AtWork]:
    for task in tasks:
        begun = record_of(run, task).begun
        if begun and is_held(run, task):
            last = begun[-1]
            seconds = round(time.time() - last.at, 1)
            yield AtWork(task.name, last.worker, last.host, last.process, seconds)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
