"""What is written beside the answer: `--html` a page, `--sarif` and `--junit` what was judged."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from superpose.cli.console import say
from superpose.cli.typed import typed
from superpose.errors import BadSetting

if TYPE_CHECKING:
    from superpose.report import Page
    from superpose.verbs.gate import Gate

__all__ = ["Html", "Junit", "Paged", "Pages", "Reports", "Sarif", "nothing_beside"]

Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Write a page of the results as well: one file that needs no network. An earlier "
        "page there is replaced.",
        show_default=False,
    ),
]


Sarif = Annotated[
    Path | None,
    typer.Option(
        "--sarif",
        metavar="FILE",
        help="Write what did not hold as SARIF 2.1.0 as well, for code scanning. An earlier file "
        "there is replaced.",
        show_default=False,
    ),
]
Junit = Annotated[
    Path | None,
    typer.Option(
        "--junit",
        metavar="FILE",
        help="Write what was tested as JUnit XML as well. An earlier file there is replaced.",
        show_default=False,
    ),
]


class Paged(Protocol):
    """A result that has a page."""

    def page(self, command: str) -> Page:
        """Give the page. command: that which made it."""
        ...


class Pages:
    """Where a command's page goes, if anywhere.

    target: None for no page. Raises what `report.ready` raises, before any work is done.
    """

    def __init__(self, target: Path | None) -> None:
        self.target = target
        if target is not None:
            from superpose.report import ready

            ready(target)

    @contextmanager
    def showing(self, found: Paged) -> Iterator[None]:
        """Print the answer in the block; then the page is written, and said where it lies.

        The answer is there whatever becomes of the page, and the page where nobody reads the answer
        to its end. found: asked for it where there is a target. Raises what `write_page` does.
        """
        try:
            yield
        finally:
            if self.target is not None:
                from superpose.report import write_page

                write_page(self.target, found.page(typed()))
                say(f"page: {self.target}")


def nothing_beside(asked: str, **files: Path | None) -> None:
    """Raise BadSetting where a file is asked for beside an answer that has none.

    asked: what is told instead of results. files: the settings that name files.
    """
    wanted = [name for name, target in files.items() if target is not None]
    if wanted:
        raise BadSetting(
            "there are no results to write yet",
            where=", ".join([asked, *wanted]),
            hint="Give it without, to the command that does the work or to its finished folder.",
        )


class Reports:
    """Where a command says what it judged, if anywhere.

    command: check or verify. Raises BadSetting for one file twice, and BadInput for one that cannot
    be written, before any work is done.
    """

    def __init__(self, command: str, sarif: Path | None, junit: Path | None) -> None:
        self.command, self.sarif, self.junit = command, sarif, junit
        self.started, self.written = time.perf_counter(), False
        if self:
            from superpose.files.atomic import check_writable

            asked = [target for target in (sarif, junit) if target is not None]
            if len({os.path.realpath(target) for target in asked}) < len(asked):
                raise BadSetting(f"name one file twice: {sarif}", where="sarif, junit")
            for target in asked:
                if target.is_dir():
                    raise BadSetting(f"{target} is a folder, not a file", where=self._of(target))
                check_writable(target)

    def __bool__(self) -> bool:
        return self.sarif is not None or self.junit is not None

    def write(self, gate: Gate) -> None:
        """Write what was judged."""
        self.written = True
        gate.write(sarif=self.sarif, junit=self.junit)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Have an error of the block told in the files too, unless they are written: it goes on.

        Otherwise an earlier run's files would be taken for this one's.
        """
        try:
            yield
        except Exception as error:
            if self and not self.written:
                from superpose.verbs.gate import gate_of_error

                self.write(gate_of_error(self.command, error, time.perf_counter() - self.started))
            raise

    def _of(self, target: Path) -> str:
        return "sarif" if target == self.sarif else "junit"
