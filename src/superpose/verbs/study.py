"""A whole study from one file: its cells on disk, its summary, its page."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from superpose.arguments import typed
from superpose.errors import BadInput, BadSetting
from superpose.executor import Execution, WorkStatus, work_status
from superpose.shown import Framed, Line, Part, Shown
from superpose.training.reporter import Reporter
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress
from superpose.verbs.settings import held

if TYPE_CHECKING:
    from superpose.report import Page
    from superpose.studies.foreseen import Foreseen
    from superpose.studies.run import Study
    from superpose.studies.summary import Summary

__all__ = ["Studied", "Telling", "studied", "study"]


@dataclass(frozen=True)
class Studied(Framed, Shown):
    """A study's folder, how many of its cells are done, and what it found.

    summary: None of a study that was only looked at. seconds: that this run took. status: how far
    the run is that was begun last, where that was asked for; cells and done count its tasks.
    foreseen: what the study takes, where only that was asked for.
    """

    TABLE: ClassVar[str] = "methods"

    study: Study
    cells: int
    done: int
    summary: Summary | None
    seconds: float
    status: WorkStatus | None = None
    foreseen: Foreseen | None = None

    @property
    def folder(self) -> Path:
        """Where its cells, table.csv and summary.json lie."""
        return self.study.folder.path

    def to_json(self) -> dict[str, Any]:
        """Give what `study --json` prints: the summary, or how far the study is."""
        if self.summary is not None:
            return self.summary.to_json()
        if self.status is not None:
            return self.status.to_json()
        takes = {} if self.foreseen is None else self.foreseen.to_json()
        return {"folder": str(self.folder), "cells": self.cells, "done": self.done, **takes}

    def shown(self) -> tuple[Part, ...]:
        """Give what the study found, or how far it is and what it takes."""
        if self.status is not None:
            return self.status.shown()
        if self.summary is None:
            said = f"{self.folder}: {self.done} of {self.cells} cells are done"
            takes = () if self.foreseen is None else self.foreseen.shown()
            return (Line(said), *takes)
        from superpose.studies.tables import study_parts

        return study_parts(self.summary)

    def paper(self, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Write tables as LaTeX and CSV, charts as SVG and PDF, and BibTeX; give the files.

        Raises BadInput for a study that was only looked at, and where the system does not write.
        """
        from superpose.report import write_paper

        if self.summary is None:
            raise BadInput("only looked at, a study has nothing for a paper", where=self.folder)
        return write_paper(self.summary, Path(folder))

    def page(self, command: str = "") -> Page:
        """Give the page. command: that which made it, as it was typed.

        Raises BadInput for a study that was only looked at.
        """
        from superpose.report import Making, study_page
        from superpose.studies.page_parts import page_parts

        found = self.summary
        if found is None:
            raise BadInput("only looked at, a study has nothing for a page", where=self.folder)
        parts = page_parts(self.study, found.seeds)
        seconds = dict(found.seconds)
        if parts.forecasts:
            forecasts = parts.forecasts.values()
            seconds["forecast"] = sum(each["calibration"]["seconds"] for each in forecasts)
        made = Making(
            command=command,
            seconds={**seconds, "this run": self.seconds},
            seeds=found.seeds,
            base=found.base,
            data=parts.data,
            versions=found.versions,
            machine=found.machine,
        )
        return study_page(found, parts.checks, parts.forecasts, parts.adapters, made)


@typed
def study(
    file: str | os.PathLike[str] | Mapping[str, Any],
    out: str | os.PathLike[str] | None = None,
    execution: Execution = Execution(),
    *,
    dry_run: bool = False,
    status: bool = False,
    progress: Progress | None = None,
) -> Studied:
    """Train, forecast, add, baseline, evaluate, correlate: what a study file says.

    file: its path, to which paths in it are relative; or what stands in one. The folder of a study
    in its place gives what was found again: from the cells that lie there, without base model and
    rows, and `table.csv`, `rows.npz` and `summary.json` are made anew. out: the study's
    folder, runs/NAME by default; one that was stopped is gone on with. execution: where its tasks
    are done, and by how many workers. dry_run: only say how far it is and what it takes, in cells,
    tokens and hours; where base or data are not here, at most that. status: tell how far it is from
    its files alone, and how long the rest takes, also while it runs. progress: called with work
    done, how much there is, and what is done; what is finished is noted too.

    Raises BadInput for a study file that cannot be used, naming its line or key, and for a folder
    of another study; Missing where Slurm or Ray cannot be reached; and what training and evaluating
    raise.
    """
    held(execution, Execution, "execution")
    from superpose.studies.rows import check_sources
    from superpose.studies.spec import load_spec, spec_of

    started = time.perf_counter()
    if not isinstance(file, Mapping) and Path(file).is_dir():
        return _again(Path(file), out, started, dry_run=dry_run, status=status)
    if isinstance(file, Mapping):
        spec, beside = spec_of(file, "the study"), Path()
    else:
        spec, beside = load_spec(Path(file)), Path(file).parent
    if not status:
        check_sources(spec, beside)
    # They load torch and transformers, which takes seconds: a bad file is told before.
    from superpose.studies.foreseen import foresee
    from superpose.studies.run import Study

    run = Study(
        spec,
        Path("runs", spec.name) if out is None else Path(out),
        relative_to=beside,
        reporter=None if progress is None else Telling(progress),
    )
    if status:
        found = work_status(run.folder.path)
        seconds = time.perf_counter() - started
        return Studied(run, found.tasks, found.done, None, seconds, found)
    if dry_run:
        looked_at, foreseen = foresee(run)
        return replace(studied(looked_at, started, summed_up=False), foreseen=foreseen)
    run.run(execution)
    return studied(run, started)


def _again(folder: Path, out: object, started: float, *, dry_run: bool, status: bool) -> Studied:
    """Give what a study's folder holds. Raises BadSetting for what a folder does not take."""
    from superpose.studies.kept_settings import kept_settings

    if out is not None:
        raise BadSetting(f"{folder} is a study's folder, and has no other", where="out")
    if dry_run:
        raise BadSetting(
            f"{folder} is a study's folder, which is only looked at",
            where="dry_run",
            hint="Give the study file.",
        )
    spec = kept_settings(folder)
    from superpose.studies.kept import KeptStudy  # which loads torch

    run = KeptStudy(spec, folder)
    if status:
        found = work_status(folder)
        seconds = time.perf_counter() - started
        return Studied(run, found.tasks, found.done, None, seconds, found)
    return studied(run, started)


def studied(run: Study, started: float, *, summed_up: bool = True) -> Studied:
    """Give a study as it lies on disk. summed_up: write table.csv and summary.json of its cells."""
    from superpose.studies.results import write_results

    cells = run.cells
    return Studied(
        run,
        len(cells),
        sum(run.is_done(cell) for cell in cells),
        write_results(run.folder, run.spec, cells) if summed_up else None,
        time.perf_counter() - started,
    )


class Telling(Reporter):
    """Tells a verb's progress how far a study is, and notes what lies on disk."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.done, self.total = 0.0, 0.0
        self.activity = "preparing"

    def plan(self, total: float, left: float, cells: int) -> None:
        """Tell the whole: `total` work, of which `left` is to be done."""
        self.done, self.total = total - left, total
        self.advance(0.0)

    def start(self, activity: str) -> None:
        """Tell what is being done."""
        self.activity = activity
        self.advance(0.0)

    def advance(self, work: float) -> None:
        """Tell that so much more is done."""
        self.done += work
        self.progress(self.done, self.total, self.activity)

    def finish(self, activity: str, seconds: float) -> None:
        """Note what was done in how many seconds."""
        note("note", f"{activity}: {seconds:.0f} s")
