"""`--html FILE`: the page beside the answer, and what a page says of its own making."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.console import err
from superpose.cli.typed import typed

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.report import Made, Page
    from superpose.study.run import Study

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

        whole = {"in all": time.perf_counter() - self.started}
        return Made(command=typed(), seconds={**(seconds or {}), **whole}, **known)

    def of_study(self, summary: Mapping[str, Any], study: Study) -> Page:
        """Give the page of a finished study. summary: its `summary.json`."""
        from superpose.report import study_page
        from superpose.study.page_parts import page_parts

        parts = page_parts(study, summary["seeds"])
        made = self.made(
            {kind: summary["seconds"][kind] for kind in ("training", "evaluation")},
            seeds=summary["seeds"],
            base=summary["base"],
            data=parts.data,
            versions=summary["versions"],
            machine=summary["machine"],
        )
        return study_page(summary, parts.checks, parts.forecasts, parts.adapters, made)

    def write(self, page: Page) -> None:
        """Write the page and say where it lies."""
        from superpose.report import write_page

        assert self.target is not None
        write_page(self.target, page)
        err().print(f"page: {self.target}", markup=False)


def data_rows(sources: Sequence[str], counts: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Give (what, how much, fingerprint) of each domain; of files alone there is a fingerprint.

    sources: one a domain, as they were typed. counts: domain -> its rows, in words.
    """
    from superpose.files import sha256

    paths = [Path(source) for source in sources]
    marks = [sha256(path)[:12] if path.is_file() else "" for path in paths]
    return [(name, much, mark) for (name, much), mark in zip(counts.items(), marks, strict=True)]


def checked(adapters: Sequence[Adapter]) -> dict[str, Any] | None:
    """Give `check --json` of adapters that are known to have one base; None for a single one."""
    from superpose.interference import check

    return check(adapters, same_base=True).to_json() if len(adapters) > 1 else None
