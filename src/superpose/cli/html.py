"""`--html FILE`: the page beside the answer, and what a page says of its own making."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.console import err
from superpose.cli.typed import typed

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.report import Made, Page
    from superpose.studies.run import Study

__all__ = ["Html", "Pages", "checked", "data_rows"]

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


class Pages:
    """Where a command's page goes, if anywhere, and how long the command took.

    target: None for no page. charts: whether plotly will draw in it. Raises what `report.ready`
    raises, before any work is done.
    """

    def __init__(self, target: Path | None, *, charts: bool = False) -> None:
        self.target = target
        self.started = time.perf_counter()
        if target is not None:
            from superpose.report import ready

            ready(target, charts=charts)

    def made(self, seconds: Mapping[str, float] | None = None, **known: Any) -> Made:
        """Give how the page was made. seconds: by activity; the whole run where not told."""
        from superpose.report import Made

        whole = {"this run": time.perf_counter() - self.started}
        return Made(command=typed(), seconds={**(seconds or {}), **whole}, **known)

    def of_study(self, summary: Mapping[str, Any], study: Study) -> Page:
        """Give the page of a finished study. summary: its `summary.json`."""
        from superpose.report import study_page
        from superpose.studies.page_parts import page_parts

        parts = page_parts(study, summary["seeds"])
        seconds = dict(summary["seconds"])
        if parts.forecasts:
            forecasts = parts.forecasts.values()
            seconds["forecast"] = sum(found["calibration"]["seconds"] for found in forecasts)
        made = self.made(
            seconds,
            seeds=summary["seeds"],
            base=summary["base"],
            data=parts.data,
            versions=summary["versions"],
            machine=summary["machine"],
        )
        return study_page(summary, parts.checks, parts.forecasts, parts.adapters, made)

    @contextmanager
    def beside(self, page: Callable[[], Page]) -> Iterator[None]:
        """Print the answer in the block; then the page is written, and said where it lies.

        The answer is there whatever becomes of the page, and the page where nobody reads the answer
        to its end. page: makes it; not asked where there is no target. Raises what `write_page`
        does.
        """
        try:
            yield
        finally:
            if self.target is not None:
                from superpose.report import write_page

                write_page(self.target, page())
                err().print(f"page: {self.target}", markup=False)


def data_rows(
    sources: Sequence[str], rows: Mapping[str, Sequence[object]], kind: str
) -> list[tuple[str, str, str]]:
    """Give (what, how much, fingerprint) of each domain; of files alone there is a fingerprint.

    sources: one a domain, as they were typed. rows: by domain, those that were used. kind: of them.
    """
    from superpose.files import sha256
    from superpose.report.texts import counted

    paths = [Path(source) for source in sources]
    marks = [sha256(path)[:12] if path.is_file() else "" for path in paths]
    return [
        (name, counted(len(found), f"{kind} row"), mark)
        for (name, found), mark in zip(rows.items(), marks, strict=True)
    ]


def checked(adapters: Sequence[Adapter]) -> dict[str, Any] | None:
    """Give `check --json` of adapters that are known to have one base; None for a single one."""
    from superpose.interference import check

    return check(adapters, same_base=True).to_json() if len(adapters) > 1 else None
