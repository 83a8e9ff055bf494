"""Lines that tell what was done and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Sequence

__all__ = ["Pace"]


class Pace:
    """Counts finished pieces of work.

    work: what each piece costs, in any unit, in the order in which they will be finished.
    """

    def __init__(self, work: Sequence[float]) -> None:
        self._work = list(work)
        self._finished = 0
        self._started = time.perf_counter()

    def left(self) -> float:
        """Seconds that the rest will take at the pace so far; 0 when all is done."""
        done = sum(self._work[: self._finished])
        passed = time.perf_counter() - self._started
        return passed / done * sum(self._work[self._finished :]) if done else 0.0

    def done(self, what: str, seconds: float) -> None:
        """Print that the next piece is finished."""
        self._finished += 1
        print(
            f"[{self._finished}/{len(self._work)}] {what} in {seconds:.0f} s; "
            f"about {self.left() / 60:.0f} min left",
            flush=True,
        )
