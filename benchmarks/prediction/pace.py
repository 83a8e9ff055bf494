"""Lines that tell what was done and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Sequence

__all__ = ["Pace"]


class Pace:
    """Counts finished pieces of work. work: what each piece costs, in any unit, above 0."""

    def __init__(self, work: Sequence[float]) -> None:
        self._work = list(work)
        self._finished: set[int] = set()
        self._started = time.perf_counter()

    def done(self, piece: int, what: str) -> None:
        """Print that a piece is finished, and how long the rest takes at the pace so far."""
        self._finished.add(piece)
        done = sum(self._work[index] for index in self._finished)
        passed = time.perf_counter() - self._started
        left = passed / done * (sum(self._work) - done) / 60
        count = f"[{len(self._finished)}/{len(self._work)}]"
        print(f"{count} {what}; about {left:.0f} min left", flush=True)
