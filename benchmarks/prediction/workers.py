"""Work items off, in this process or in several that keep to one thread each.

Beside other work on the same cores, threads that wait for each other at every matrix product
lose most of their time; processes with an item each lose none.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from typing import Any, Protocol

from benchmarks.prediction.field import Field
from benchmarks.prediction.pace import Pace

__all__ = ["Item", "work_off"]


class Item(Protocol):
    """A piece of work that can be sent to another process."""

    @property
    def name(self) -> str:
        """Such as `trained main, seed 0: finance`."""


Do = Callable[[Any], None]
Workbench = Callable[[Field], AbstractContextManager[Do]]
"""Opens what the items of one kind need on a field, and gives the function that does one."""


def work_off(
    field: Field, items: Sequence[Item], costs: Sequence[float], workbench: Workbench, jobs: int
) -> None:
    """Do every item, and print a line with the time left after each.

    costs: of the items, in any unit. workbench: a function of a module, so that other processes
    find it. jobs: processes; with 1 it is this one, with all its threads.
    """
    pace = Pace(costs)
    done = _here(field, items, workbench) if jobs == 1 else _spread(field, items, workbench, jobs)
    for index, seconds in done:
        pace.done(index, f"{items[index].name} in {seconds:.0f} s")


def _here(field: Field, items: Sequence[Item], workbench: Workbench) -> Iterator[tuple[int, float]]:
    with workbench(field) as do:
        for index, item in enumerate(items):
            yield index, _timed(do, item)


def _spread(
    field: Field, items: Sequence[Item], workbench: Workbench, jobs: int
) -> Iterator[tuple[int, float]]:
    # Spawned: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _open, (field.plan(), workbench))
    try:
        waiting: dict[Future[float], int] = {
            pool.submit(_do_in_worker, item): index for index, item in enumerate(items)
        }
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    finally:
        # After Ctrl-C, which the workers got as well: they tidy up what they had begun.
        pool.shutdown(cancel_futures=True)


_worker: dict[str, Any] = {}
"""In a worker process: its workbench, open for as long as the process lives."""


def _open(plan: dict[str, Any], workbench: Workbench) -> None:
    import torch

    torch.set_num_threads(1)
    _worker["bench"] = workbench(Field(**plan))
    _worker["do"] = _worker["bench"].__enter__()


def _do_in_worker(item: Item) -> float:
    return _timed(_worker["do"], item)


def _timed(do: Do, item: Item) -> float:
    started = time.perf_counter()
    do(item)
    return time.perf_counter() - started
