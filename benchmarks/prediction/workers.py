"""Work items off on superpose's executor: in this process, or by workers here or elsewhere.

Beside other work on the same cores, threads that wait for each other at every matrix product
lose most of their time; processes with an item each lose none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from benchmarks.prediction.field import Field
from benchmarks.prediction.pace import Pace
from superpose.executor import Do, Execution, Task, work_off as work_tasks_off

__all__ = ["Item", "Jobs", "add_jobs", "jobs_of", "work_off"]

Jobs = int | Execution
"""So many processes here, or where the items are done."""


class Item(Protocol):
    """A piece of work that can be sent to another process."""

    @property
    def name(self) -> str:
        """Such as `trained main, seed 0: finance`."""

    @property
    def file(self) -> str:
        """What lies within the folder once it is done."""


Workbench = Callable[[Field], AbstractContextManager[Callable[[Any], None]]]
"""Opens what the items of one kind need on a field, and gives the function that does one."""


def work_off(
    field: Field, items: Sequence[Item], costs: Sequence[float], workbench: Workbench, jobs: Jobs
) -> None:
    """Do every item, and print a line with the time left after each.

    costs: of the items, in any unit. workbench: a function of a module, so that other processes
    find it. jobs: processes; with 1 it is this one, with all its threads.
    """
    pace = Pace(costs)
    places = {item.file: place for place, item in enumerate(items)}
    tasks = [
        Task(item.name, item.file, (item,), cost) for item, cost in zip(items, costs, strict=True)
    ]
    bench: Callable[[], AbstractContextManager[Do]] = partial(workbench, field)
    work_tasks_off(
        field.folder.path,
        tasks,
        bench,
        Execution(workers=jobs) if isinstance(jobs, int) else jobs,
        finished=lambda task, s: pace.done(places[task.file], f"{task.name} in {s:.0f} s"),
    )


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where items are done, and by how many workers."""
    parser.add_argument("--jobs", type=int, default=1, help="workers; 1, local, is this process")
    parser.add_argument("--executor", default="local", choices=("local", "slurm", "ray"))
    parser.add_argument(
        "--slurm", action="append", default=[], metavar="KEY=VALUE", help="for sbatch: time=240"
    )


def jobs_of(asked: argparse.Namespace) -> Execution:
    """Give what these options say. Raises BadSetting for what cannot be meant."""
    settings = dict(each.partition("=")[::2] for each in asked.slurm)
    if "time" in settings:
        settings["time"] = int(settings["time"])
    return Execution(executor=asked.executor, workers=asked.jobs, slurm=settings)
