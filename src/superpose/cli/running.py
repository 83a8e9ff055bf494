"""What the commands that run a model share: settings from options, bars, names for data."""

from __future__ import annotations

from typing import Any

from superpose.cli.console import err, progress
from superpose.training.reporter import Reporter

__all__ = ["StudyBars"]


class StudyBars(Reporter):
    """One bar for a whole study with its time left, and a line for each finished activity."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bars = progress(quiet=quiet, percent=True)
        self.task: Any = None

    def __enter__(self) -> StudyBars:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def plan(self, total: float, left: float, cells: int) -> None:
        """Show the whole: `total` work in `cells` cells, of which `left` is to be done."""
        self.task = self.bars.add_task("preparing", total=total)
        self.bars.advance(self.task, total - left)

    def start(self, activity: str) -> None:
        """Show what is being done."""
        if self.task is not None:
            self.bars.update(self.task, description=activity)

    def advance(self, work: float) -> None:
        """Move the bar on."""
        if self.task is not None:
            self.bars.advance(self.task, work)

    def finish(self, activity: str, seconds: float) -> None:
        """Say in a line what is done and lies on disk."""
        if not self.quiet:
            err().print(f"{activity}: {seconds:.0f} s", markup=False)
