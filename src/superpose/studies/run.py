"""Run a study: train, check, forecast, add, evaluate, task by task, going on where it was stopped.

For every seed: one adapter a domain, a forecast of their sums, the sum of every subset (with task
weights 1, their average, and tuned), and the merged-data baselines of every subset; each of these
models is scored on every domain. A worker loads the base once; adapters are put in and taken out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from superpose.executor import Do, Execution, Task, Workbench, work_off
from superpose.model.carried import base_checksum, check_same_base_here
from superpose.studies.bench import StudyBench
from superpose.studies.cells import BASELINES, MERGED_BY, WEIGHTED, StudyCell
from superpose.studies.folder import DOMAINS, PROMPT
from superpose.studies.forecasting import check_file, forecast_file, forecast_tokens
from superpose.studies.kept_settings import SETTINGS
from superpose.studies.merged_by import check_calibration, merging_tokens
from superpose.studies.opened import BASE_CELL, OpenedStudy
from superpose.studies.spec import StudySpec

__all__ = ["Study", "study_in_worker"]


class Study(OpenedStudy):
    """A study and its folder, with what it does.

    spec: what to do. out: the folder; one that holds this study's cells is gone on with.
    relative_to: the folder that the spec's paths are relative to. reporter: told of progress.
    """

    def check_settings(self) -> None:
        """Raise BadInput as `OpenedStudy` does, and for fewer calibration rows than methods ask."""
        super().check_settings()
        check_calibration(self)

    def is_done(self, cell: StudyCell) -> bool:
        """Whether a cell's adapter and evaluation lie in the folder."""
        trained = not cell.trained or self.folder.is_trained(cell)
        return trained and self.folder.is_evaluated(cell, self.spec.domains)

    def run(self, execution: Execution = Execution()) -> None:  # noqa: B008 - frozen
        """Do what is not done yet.

        Raises BadInput where the folder holds another study, and as `check_settings` does.
        """
        self.check_settings()
        self.folder.claim(self.identity())
        with self.folder.locked():
            self.folder.write(DOMAINS, self.notes())
            self.folder.write(SETTINGS, self.spec.model_dump(mode="json"))
            self.folder.write(PROMPT, self.asking)
            tasks = self.tasks
            left = sum(task.work for task in tasks if not (self.folder.path / task.file).exists())
            self.reporter.plan(sum(task.work for task in tasks), left, len(self.cells))
            heard = (lambda *_: None) if execution.in_process else self._heard
            bench = self._workbench_of(execution)
            work_off(self.folder.path, tasks, bench, execution, finished=heard)

    def _heard(self, task: Task, seconds: float) -> None:
        """Tell of a task that another process has done."""
        self.reporter.advance(task.work)
        self.reporter.finish(task.name, seconds)

    @contextmanager
    def workbench(self) -> Iterator[Do]:
        """Give what does one of the study's tasks in this process."""
        bench = StudyBench(self)
        try:
            yield bench.do
        finally:
            bench.clear()

    def _workbench_of(self, execution: Execution) -> Workbench:
        if execution.in_process:
            return self.workbench
        base = base_checksum(self.base)
        return partial(study_in_worker, self.spec, self.folder.path, self.relative_to, base)

    @property
    def tasks(self) -> list[Task]:
        """All that the study does, in the order in which it is begun."""
        return [
            *self._evaluating(BASE_CELL),
            *(t for s in self.spec.seeds for t in self._of_seed(s)),
        ]

    def _of_seed(self, seed: int) -> Iterator[Task]:
        """What is done for a seed: singles, what they tell, their sums, and the baselines."""
        cells = [cell for cell in self.cells if cell.seed == seed]
        singles = [cell for cell in cells if cell.method == "single"]
        own = tuple(cell.adapter for cell in singles)
        yield from (self._training(cell) for cell in singles)
        yield Task(f"check (seed {seed})", check_file(seed), ("check", seed), 1.0, own)
        if self.has_forecast:
            work = forecast_tokens(self.calibration_examples)
            file = forecast_file(seed)
            yield Task(f"forecast (seed {seed})", file, ("forecast", seed), work, own)
        for cell in cells:
            if cell.method in WEIGHTED:
                tuned = (forecast_file(seed),) if cell.method == "tuned" else ()
                yield from self._evaluating(cell, *own, *tuned)
            elif cell.method in MERGED_BY:
                yield from self._evaluating(cell, *own)
        for cell in cells:
            if cell.method in BASELINES.values():
                yield self._training(cell, *(own if cell.method == "merged_steps" else ()))
                yield from self._evaluating(cell, cell.adapter)

    def _training(self, cell: StudyCell, *after: str) -> Task:
        work = self.training_work(cell)
        return Task(f"train {cell.label}", cell.adapter, ("train", cell), work, after)

    def _evaluating(self, cell: StudyCell, *after: str) -> Iterator[Task]:
        """Evaluate a cell; one that was evaluated before domains joined, on each of these."""
        joined = self.folder.unscored(cell, self.spec.domains)
        scored = [name for name in self.spec.domains if name not in joined]
        work = sum(map(self.test_tokens, scored)) + merging_tokens(self, cell)
        yield Task(f"evaluate {cell.label}", cell.file, ("evaluate", cell), work, after)
        for name in joined:
            what, file = f"evaluate {cell.label} on {name}", self.folder.added_file(cell, name)
            work = self.test_tokens(name) + merging_tokens(self, cell)
            yield Task(what, file, ("evaluate on", (cell, name)), work, after)


@contextmanager
def study_in_worker(spec: StudySpec, folder: Path, relative_to: Path, base: str) -> Iterator[Do]:
    """Open a study in another process. base: checksum of the base model that the command has.

    Raises BadInput where this process reads other rows, or loads another base model.
    """
    study = Study(spec, folder, relative_to=relative_to)
    study.folder.claim(study.identity(), begin=False)
    check_same_base_here(study.base, base)
    with study.workbench() as do:
        yield do
