"""`superpose study`: the whole experiment from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.beside import Html, Pages, nothing_beside
from superpose.cli.options import Csv, Quiet
from superpose.cli.unfold import unfolded
from superpose.executor.execution import Execution

__all__ = ["study"]


@unfolded
def study(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The study file (YAML), or a study's folder.")
    ],
    execution: Execution,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Its folder. Default: runs/NAME.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it takes: cells, tokens, hours.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="How far it is, from its files; also while it runs.")
    ] = False,
    html: Html = None,
    paper: Annotated[
        Path | None,
        typer.Option(
            "--paper",
            metavar="FOLDER",
            help="Write tables as LaTeX and CSV, charts as SVG and PDF, and BibTeX, for a paper. "
            "Earlier ones there are replaced.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Train, forecast, add, baseline, evaluate, correlate: a study from one YAML file.

    Every subset's naive sum stands beside its average, the weights that the forecast finds best,
    merge methods (`methods: [regmean]`), and merged-data fine-tuning (`merged: [epochs, steps,
    rank]`); what the forecast predicted from
    `calibration_rows` a domain, 0 for none, stands beside what was measured.

    Every finished cell is a file in the study's folder. A study that was stopped goes on where
    it stood when the same command is given again; a folder of another study is refused. At the
    end table.csv, summary.json and every row's losses (rows.npz) lie beside the cells.

    Given that folder in place of the file, tables and page are made again of what lies there: no
    base model is loaded and no row is read.

    With several workers, here, as Slurm's jobs or on a Ray cluster, each loads the base model once
    and takes the next cell that is open; killed workers are replaced. --status tells in another
    shell how far they are.

    \b
    Example:
      superpose study studies/smollm2.yaml --out runs/smollm2
      superpose study studies/smollm2.yaml --out runs/smollm2 --workers 2
      superpose study runs/smollm2 --html smollm2.html --paper paper/smollm2
    """
    from superpose.cli.console import answer, bars, say
    from superpose.verbs.study import study as study_all

    if dry_run or status:
        nothing_beside("dry_run" if dry_run else "status", html=html, paper=paper)
    pages = Pages(html)
    with bars(quiet=quiet, percent=True) as progress:
        told = None if quiet else progress
        found = study_all(file, out, execution, dry_run=dry_run, status=status, progress=told)
    if dry_run or status:
        answer(found, json)
    else:
        with pages.showing(found):
            answer(found, json)
        if paper is not None:
            say(f"for a paper, {len(found.paper(paper))} files: {paper}")
        if not json:
            say(f"cells, table.csv, rows.npz and summary.json: {found.folder}")
