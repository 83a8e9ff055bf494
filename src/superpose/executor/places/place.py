"""What every place offers to the command that watches its workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["WorkPlace"]


class WorkPlace(Protocol):
    """Starts workers of a run, and tells which of them have ended.

    Workers speak through the run's folder; a place need not know what they do.
    """

    def start(self, workers: Sequence[int]) -> None:
        """Start workers of these numbers."""
        ...

    def ended(self) -> Sequence[int]:
        """Give the numbers of those that have ended since this was asked last."""
        ...

    def close(self, *, at_once: bool) -> None:
        """Leave no worker behind. at_once: end those that are at work, and let them tidy up."""
        ...
