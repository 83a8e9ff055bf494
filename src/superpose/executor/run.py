"""A run of tasks as it lies on disk: which they are, who began them, and what went wrong.

FOLDER/.executor/run.json   the newest run: its tasks, where and when it was begun, what versions
FOLDER/.executor/newest     its name alone, which workers look at before each task
FOLDER/.executor/RUN/       one run: what its workers load, their logs and errors, the stop mark
FOLDER/.executor/tasks/     for each task its lock and the record of who began it, and when
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from superpose.errors import BadInput
from superpose.executor.execution import Execution
from superpose.executor.task import Task, Workbench
from superpose.executor.versions import versions_here
from superpose.executor.worker_error import WorkerError
from superpose.files import new_file

__all__ = ["WorkRun"]

CONTROL = ".executor"

_CARRIED = (
    "HF_ENDPOINT HF_HOME HF_HUB_CACHE HF_HUB_OFFLINE SUPERPOSE_CACHE TRANSFORMERS_OFFLINE".split()
)
"""What workers that do not inherit the command's environment are told of it; no secrets."""


@dataclass(frozen=True)
class WorkRun:
    """The tasks of one command, in the order in which they are begun.

    folder: of the work, absolute. name: of the run. begun: seconds since 1970. done: files that
    were there before. head: where the command runs, for people. settings: what workers are given
    of its surroundings.
    """

    folder: Path
    name: str
    begun: float
    executor: str
    workers: int
    head: str
    tasks: tuple[Task, ...]
    done: frozenset[str]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]

    @classmethod
    def begin(cls, folder: Path, tasks: Sequence[Task], execution: Execution) -> WorkRun:
        """Begin a run; one that was begun before is over, and its workers end after their task."""
        folder = folder.resolve()
        run = cls(
            folder=folder,
            name=f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(3).hex()}",
            begun=time.time(),
            executor=execution.executor,
            workers=execution.workers,
            head=f"process {os.getpid()} on {socket.gethostname()}",
            tasks=tuple(tasks),
            done=frozenset(task.file for task in tasks if (folder / task.file).exists()),
            versions=versions_here(),
            settings={
                "environment": {key: os.environ[key] for key in _CARRIED if key in os.environ},
                "path": [str(Path(entry or ".").resolve()) for entry in sys.path],
                "cwd": str(Path.cwd()),
            },
        )
        with new_file(folder / CONTROL / "run.json") as beside:
            beside.write_text(json.dumps(run._to_json()), encoding="utf-8")
        with new_file(folder / CONTROL / "newest") as beside:
            beside.write_text(run.name, encoding="utf-8")
        run._take_away()
        return run

    @classmethod
    def newest(cls, folder: Path) -> WorkRun | None:
        """Give the newest run of a folder as its file tells, without arguments; None for none."""
        folder = folder.resolve()
        path = folder / CONTROL / "run.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            tasks = tuple(
                Task(name, file, (), work, tuple(after))
                for name, file, work, after in content.pop("tasks")
            )
            done = frozenset(content.pop("done"))
            return cls(folder=folder, tasks=tasks, done=done, **content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            raise BadInput(
                "this file of the work cannot be read, or is of another version of superpose",
                where=path,
                hint="Delete it: the command makes it anew.",
            ) from None

    def _to_json(self) -> dict[str, Any]:
        own = {key: value for key, value in vars(self).items() if key not in ("folder", "control")}
        tasks = [(task.name, task.file, task.work, task.after) for task in self.tasks]
        return own | {"tasks": tasks, "done": sorted(self.done)}

    @cached_property
    def control(self) -> Path:
        """The run's own folder, which is made when it is asked for."""
        path = self.folder / CONTROL / self.name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def is_done(self, task: Task) -> bool:
        """Whether a task's result lies here."""
        return (self.folder / task.file).exists()

    def look_again(self, tasks: Sequence[Task]) -> None:
        """Make a shared filesystem forget that files were not there when it looked last."""
        for folder in {(self.folder / task.file).parent for task in tasks}:
            with suppress(OSError):  # a change of a folder has its machine look at it anew
                folder.chmod(folder.stat().st_mode)

    def give(self, workbench: Workbench) -> None:
        """Write what workers load: the tasks with their arguments, and their workbench."""
        with new_file(self.control / "work.pickle") as beside:
            beside.write_bytes(pickle.dumps((self.tasks, workbench)))

    def over(self) -> None:
        """Take away what workers load, which may be large: nothing is left to be begun."""
        self.stop()
        self._take_away()

    def _take_away(self) -> None:
        for path in (self.folder / CONTROL).glob("*/work.pickle"):
            path.unlink(missing_ok=True)

    def take(self) -> tuple[tuple[Task, ...], Workbench]:
        """Load what the command wrote for its workers."""
        # Written a moment ago by the command that started this worker, in its own folder.
        work = (self.control / "work.pickle").read_bytes()
        tasks, workbench = pickle.loads(work)  # noqa: S301
        return tasks, workbench

    def log(self, worker: int) -> Path:
        """Where a worker's own output goes, where nothing else keeps it."""
        return self.control / f"worker-{worker}.log"

    def stop(self) -> None:
        """Let workers begin no further task."""
        (self.control / "stop").touch()

    @property
    def is_over(self) -> bool:
        """Whether workers shall begin nothing more: it was stopped, or a newer run was begun."""
        if (self.folder / CONTROL / self.name / "stop").exists():
            return True
        with suppress(OSError):
            newest = (self.folder / CONTROL / "newest").read_text(encoding="utf-8")
            return newest != self.name
        return False

    def fail(self, failure: WorkerError) -> None:
        """Write down what went wrong with a worker or its task, and let nobody begin another."""
        with new_file(self.control / f"error-{os.urandom(4).hex()}.json") as beside:
            beside.write_text(json.dumps(failure.to_json()), encoding="utf-8")
        self.stop()

    @property
    def failures(self) -> list[WorkerError]:
        """What went wrong so far, in the order of time."""
        files = (self.folder / CONTROL / self.name).glob("error-*.json")
        found = [WorkerError.in_file(path) for path in files]
        return sorted(found, key=lambda each: each.at)
