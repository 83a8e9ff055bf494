"""How far a verb is: what it calls the `progress` that it was given with."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "advancing", "stepping"]

Progress = Callable[[float, float | None, str], None]
"""Called with how much is done, how much there is (None: not known) and what is being done."""


def advancing(progress: Progress | None, what: str, total: float) -> Callable[[float], None]:
    """Give what a measurement calls with each amount it has done; they add up to `total`."""
    if progress is None:
        return lambda _: None
    tell, done = progress, 0.0
    tell(done, total, what)

    def advance(amount: float) -> None:
        nonlocal done
        done += amount
        tell(done, total, what)

    return advance


def stepping(progress: Progress | None, what: str) -> Callable[[float, float], None] | None:
    """Give what work calls with how much of it is done and how much there is."""
    return None if progress is None else lambda done, of: progress(done, of, what)
