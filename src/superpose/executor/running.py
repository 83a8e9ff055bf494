"""Work tasks off, in this process or by workers elsewhere, and go on where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from superpose.errors import BadInput
from superpose.executor.claims import record_of
from superpose.executor.execution import Execution
from superpose.executor.places.place import WorkPlace
from superpose.executor.run import WorkRun
from superpose.executor.task import Task, Workbench
from superpose.executor.working import work_through

__all__ = ["Finished", "work_off"]

Finished = Callable[[Task, float], None]
"""Called with each task that is done now, and the seconds that it took."""

_LOOK = 0.2
"""Seconds between looks at the files of finished tasks; of many tasks looking takes longer."""

_LOST = 3
"""Times all workers may end without anything being finished between."""


def work_off(
    folder: str | Path,
    tasks: Sequence[Task],
    workbench: Workbench,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    *,
    finished: Finished = lambda task, seconds: None,
) -> None:
    """Do every task whose file is not there yet.

    The caller holds the folder (`WorkFolder.locked`) and has claimed it for this work. workbench:
    opened once a worker. finished: called in this process for every task that is done now.

    Raises what a task raises, once what other workers had begun is finished; Missing where Slurm or
    Ray cannot be reached; BadInput for workers that have other versions, or end again and again.
    """
    folder = Path(folder).resolve()
    if all((folder / task.file).exists() for task in tasks):
        return
    run = WorkRun.begin(folder, tasks, execution)
    if execution.in_process:
        _here(run, workbench, finished)
    else:
        _elsewhere(run, workbench, execution, finished)


def _here(run: WorkRun, workbench: Workbench, finished: Finished) -> None:
    with workbench() as do:
        work_through(
            run,
            run.tasks,
            lambda task: do(*task.arguments),
            finished=lambda task: finished(task, record_of(run, task).seconds or 0.0),
        )


def _elsewhere(
    run: WorkRun, workbench: Workbench, execution: Execution, finished: Finished
) -> None:
    run.give(workbench)
    left = [task for task in run.tasks if not run.is_done(task)]
    try:
        with _place(run, execution) as place:
            place.start(range(min(execution.workers, len(left))))
            _watch(run, place, left, finished, _LOST * execution.workers)
    finally:
        run.over()
    if run.failures and not all(map(run.is_done, run.tasks)):
        raise run.failures[0].error


def _watch(
    run: WorkRun, place: WorkPlace, left: list[Task], finished: Finished, most_lost: int
) -> None:
    """Tell of finished tasks and replace workers that were killed, until all is done or one fails.

    After a failure nobody begins anything; the others' tasks are waited for.
    """
    lost = 0
    at_work = min(len(left), most_lost // _LOST)
    next_worker = at_work
    while left:
        ended = place.ended()  # before looking at the files: who ends has left its own
        if ended:
            run.look_again(left)
        done = [task for task in left if run.is_done(task)]
        for task in done:
            left.remove(task)
            finished(task, record_of(run, task).seconds or 0.0)
        at_work -= len(ended)
        lost = 0 if done else lost + len(ended)
        if run.failures:
            if not at_work:
                return
        elif left and ended:
            if lost > most_lost:
                raise _workers_end(run, ended[-1])
            more = range(next_worker, next_worker + min(len(ended), len(left)))
            place.start(more)
            at_work, next_worker = at_work + len(more), more.stop
        if left:
            time.sleep(_LOOK)


@contextmanager
def _place(run: WorkRun, execution: Execution) -> Iterator[WorkPlace]:
    place = _open(run, execution)
    try:
        yield place
    except BaseException:
        run.stop()
        place.close(at_once=True)
        raise
    place.close(at_once=False)


def _open(run: WorkRun, execution: Execution) -> WorkPlace:
    if execution.executor == "local":
        from superpose.executor.places.local import LocalPlace

        return LocalPlace(run, execution)
    if execution.executor == "slurm":
        from superpose.executor.places.slurm import SlurmPlace

        return SlurmPlace(run, execution)
    from superpose.executor.places.ray_cluster import RayPlace

    return RayPlace(run, execution)


def _workers_end(run: WorkRun, worker: int) -> BadInput:
    log = run.log(worker)
    last = log.read_text(encoding="utf-8", errors="replace")[-1500:] if log.exists() else ""
    return BadInput(
        f"the workers end before they finish anything{': ' if last else ''}{last.strip()}",
        where=log.parent,
    )
