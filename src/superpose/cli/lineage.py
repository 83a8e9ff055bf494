"""`superpose lineage`: how adapters descend from each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.beside import Html, Pages
from superpose.cli.options import Csv, IndexFolder, Json, Quiet

__all__ = ["lineage"]


def lineage(
    index: IndexFolder = "library.index",
    dot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the graph for Graphviz as well."),
    ] = None,
    html: Html = None,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Find the runs of an index, their checkpoints in order, and those that began with one A.

    Each adapter of a run stands behind the one that it is least far from, beginning with the
    smallest: two runs that went on from one checkpoint are a fork.

    Example: superpose lineage --index library.index --dot lineage.dot
    """
    from superpose.cli.console import answer, bars
    from superpose.files import new_file
    from superpose.verbs.lineage import lineage as lineage_all

    pages = Pages(html)
    with bars(quiet=quiet) as progress:
        found = lineage_all(index, progress=progress)
    if dot is not None:
        with new_file(dot) as path:
            path.write_text(found.to_dot(), encoding="utf-8")
    with pages.showing(found):
        answer(found, json)
