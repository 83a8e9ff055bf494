"""Predict's and tune's measurements in a folder: by this process or by workers, each one once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from superpose.executor import Do, Execution, Task, WorkFolder, seconds_taken, work_off
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.shared_work import adapter_marks, shared_folder

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.landscape.plan import CalibrationPlan
    from superpose.measure.lot import Lot, LotBench
    from superpose.measure.meter import Meter
    from superpose.model import SuperposedModel
    from superpose.model.carried import CarriedBase
    from superpose.verbs.calibrating import Calibrating

__all__ = ["Metered", "calibration_folder", "meter_in", "metered", "worked_off"]

CALIBRATION = "calibration"
"""What predict and tune call what lies in their folder."""


class Metered(NamedTuple):
    """A superposed model, and what measures with it.

    progress: None where all was measured before. seconds: that the calibration rows took, then.
    """

    model: SuperposedModel
    meter: Meter
    progress: Progress | None
    seconds: float | None = None


@contextmanager
def metered(
    ready: Calibrating,
    plan: CalibrationPlan,
    asked: tuple[Any, Any, Any],
    folder: WorkFolder | None,
    execution: Execution,
    progress: Progress | None,
) -> Iterator[Metered]:
    """Give what measures a prediction; with a folder all of it is measured there before.

    asked: choices of calibration, of testing, and test rows, each by domain, as tokens. folder: as
    `calibration_folder` gives it.
    """
    from superpose.measure.lot import Lot, LotBench, WeightSearch
    from superpose.measure.meter import Meter
    from superpose.model import SuperposedModel

    with SuperposedModel(ready.base.model, ready.adapters) as superposed:
        if folder is None:
            yield Metered(superposed, Meter(), progress)
            return
        lot = Lot(ready.names, ready.examples, *asked)
        bench = LotBench(folder, superposed, lot, WeightSearch())
        tasks = lot.predicting(plan, bench.kept)
        worked_off(bench, tasks, ready, execution, progress)
        calibrating = [task for task in tasks if task.arguments[1] in ("rows", "slopes")]
        seconds = seconds_taken(folder.path, calibrating)
        yield Metered(superposed, bench.kept, None, seconds)


def calibration_folder(
    ready: Calibrating, out: str | os.PathLike[str] | None, execution: Execution
) -> AbstractContextManager[WorkFolder | None]:
    """Give the folder of what is measured, which nobody else works in meanwhile."""
    return shared_folder(out, CALIBRATION, partial(identity_of, ready), execution)


def meter_in(folder: WorkFolder | None) -> Meter:
    """Give what measures beside a superposed model, and keeps it in the folder if there is one."""
    from superpose.measure.meter import KeptMeter, Meter

    return Meter() if folder is None else KeptMeter(folder)


def identity_of(ready: Calibrating) -> dict[str, Any]:
    """Say what is measured, so that a folder of another is known.

    Plans, weights, objectives and test rows are not in it: what was measured serves all of them.
    The base is known by its weights: another one may lie under the same name by now.
    """
    from superpose.measure.meter import rows_mark
    from superpose.model.carried import base_checksum

    dtype = str(next(ready.base.model.parameters()).dtype).removeprefix("torch.")
    return {
        "base": base_checksum(ready.base),
        "dtype": dtype,
        "adapters": adapter_marks(ready.adapters),
        "rows": {domain: rows_mark(rows) for domain, rows in ready.examples.items()},
    }


def worked_off(
    bench: LotBench,
    tasks: Sequence[Task],
    ready: Calibrating,
    execution: Execution,
    progress: Progress | None,
) -> None:
    """Do what is not done yet of these tasks."""
    folder = bench.kept.folder
    left = sum(task.work for task in tasks if not (folder.path / task.file).exists())
    advance = advancing(progress, "measure", left)
    opened: Callable[[], AbstractContextManager[Do]] = partial(_here, bench)
    if not execution.in_process:
        from superpose.model.carried import CarriedBase

        base = CarriedBase.of(ready.base)
        opened = partial(_in_worker, folder, base, ready.adapters, bench.lot, bench.search)
    work_off(folder.path, tasks, opened, execution, finished=lambda task, _: advance(task.work))


@contextmanager
def _here(bench: LotBench) -> Iterator[Do]:
    yield bench.do


@contextmanager
def _in_worker(
    folder: WorkFolder, base: CarriedBase, adapters: Sequence[Adapter], lot: Lot, search: Any
) -> Iterator[Do]:
    from superpose.measure.lot import LotBench
    from superpose.model import SuperposedModel

    with SuperposedModel(base.load().model, adapters) as model:
        yield LotBench(folder, model, lot, search).do
