"""What a verb has to say on its way, before its result is there.

The command line hears it at once and prints it; elsewhere it goes to the logger `superpose`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Hearer", "heard_by", "note"]

Hearer = Callable[[str, str], None]
"""Called with a kind, "note" or "warning", and one sentence."""

_HEARER: ContextVar[Hearer | None] = ContextVar("hearer", default=None)


def note(kind: str, text: str) -> None:
    """Say something that does not stop the work. kind: "note" or "warning"."""
    hearer = _HEARER.get()
    if hearer is not None:
        hearer(kind, text)
        return
    import logging  # 5 ms that a command does not pay

    level = logging.WARNING if kind == "warning" else logging.INFO
    logging.getLogger("superpose").log(level, "%s", text)


@contextmanager
def heard_by(hearer: Hearer) -> Iterator[None]:
    """Give what is said in the block to `hearer`."""
    token = _HEARER.set(hearer)
    try:
        yield
    finally:
        _HEARER.reset(token)
