"""`superpose index`: many adapters, looked at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpose.cli.beside import Html, Pages
from superpose.cli.options import Csv, Json, Quiet
from superpose.errors import Missing

__all__ = ["index"]

Folders = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FOLDER...",
        help="Folders of adapters, adapters, or hub names; none to look again at what OUT was made "
        "of.",
        show_default=False,
    ),
]


def index(
    folders: Folders = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The index, a folder.")] = Path(
        "library.index"
    ),
    seed: Annotated[int, typer.Option(help="Of the sketches of a new index.")] = 0,
    html: Html = None,
    json: Json = False,
    _csv: Csv = False,
    quiet: Quiet = False,
) -> None:
    """Index all adapters below folders, for near, dupes, lineage, unmix and check --index.

    Keeps configuration, norms, singular values of every module, sketches, and why what cannot be
    read is left out, in one Parquet file; weights stay where they are. Run again, it reads what is
    new or has other content; ended, it goes on where it stood. Adapters of different base models
    are kept apart. A name that the hub does not give is listed, the others are indexed, and the
    exit code is 3. Needs pyarrow, the extra `library`.

    Example: superpose index runs adapters -o library.index
    """
    from superpose.cli.console import answer, bars
    from superpose.verbs.index import index as index_all

    pages = Pages(html)
    with bars(quiet=quiet) as progress:
        found = index_all(folders or (), out, seed=seed, progress=progress)
    with pages.showing(found):
        answer(found, json)
    if found.missing:
        raise Missing("could not be brought", where=", ".join(found.missing))
