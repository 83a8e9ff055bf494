"""How long work tells what it is doing; the command line draws bars from it."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Reporter"]


class Reporter:
    """Told what a study does. This one says nothing; override what you want to show.

    Work is counted in forward tokens, so that training and evaluation add up to one bar.
    """

    def plan(self, total: float, left: float, cells: int) -> None:
        """The study has so much work, of which so much is left."""

    def start(self, activity: str) -> None:
        """An activity begins."""

    def advance(self, work: float) -> None:
        """So much work was done."""

    def finish(self, activity: str, seconds: float) -> None:
        """An activity was finished; its result is on disk."""

    def steps(self, activity: str, work: float) -> Callable[[int, int, float | None], None]:
        """Begin an activity of `work`; the callable turns its steps into progress."""
        self.start(activity)
        done = 0

        def step(at: int, of: int, loss: float | None) -> None:
            nonlocal done
            self.advance(work * (at - done) / max(of, 1))
            done = at

        return step
