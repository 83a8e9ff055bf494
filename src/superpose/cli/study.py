"""`superpose study`: the whole experiment from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.html import Html, Pages

__all__ = ["study"]


def study(
    file: Annotated[Path, typer.Argument(help="The study file (YAML).")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Its folder. Default: runs/NAME.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is done and what is left; do nothing.")
    ] = False,
    html: Html = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train, forecast, add, baseline, evaluate, correlate: a study from one YAML file.

    Every subset's naive sum stands beside its average, the weights that the forecast finds best,
    and merged-data fine-tuning (`merged: [epochs, steps, rank]`); what the forecast predicted from
    `calibration_rows` a domain, 0 for none, stands beside what was measured.

    Every finished cell is a file in the study's folder. A study that was stopped goes on where
    it stood when the same command is given again; a folder of another study is refused. At the
    end table.csv and summary.json lie beside the cells.

    \b
    Example:
      superpose study studies/smollm2.yaml --out runs/smollm2
    """
    from superpose.cli.console import err, out as console, print_json
    from superpose.cli.running import StudyBars
    from superpose.cli.show import show
    from superpose.studies.results import write_results
    from superpose.studies.run import Study
    from superpose.studies.spec import load_spec
    from superpose.studies.tables import study_parts

    pages = Pages(html)
    spec = load_spec(file)
    folder = out or Path("runs") / spec.name
    with StudyBars(quiet=quiet) as bars:
        run = Study(spec, folder, relative_to=file.parent, reporter=bars)
        if dry_run:
            run.folder.claim(run.identity(), begin=False)
            done = sum(run.is_done(cell) for cell in run.cells)
            if as_json:
                print_json({"folder": str(folder), "cells": len(run.cells), "done": done})
            else:
                err().print(f"{folder}: {done} of {len(run.cells)} cells are done", markup=False)
            return
        run.run()
    summary = write_results(run.folder, spec, run.cells)
    with pages.beside(lambda: pages.of_study(summary, run)):
        if as_json:
            print_json(summary.to_json())
        else:
            show(study_parts(summary), console())
    if not as_json:
        err().print(f"cells, table.csv and summary.json: {folder}", markup=False)
