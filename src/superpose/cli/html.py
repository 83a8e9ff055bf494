"""`--html FILE`: the page beside the answer, and what a page says of its own making."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from superpose.cli.console import say
from superpose.cli.typed import typed

if TYPE_CHECKING:
    from superpose.report import Page

__all__ = ["Html", "Paged", "Pages"]

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
