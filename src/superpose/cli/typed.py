"""The command line as it was typed, for pages that say how they were made."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["remembered", "typed"]

_WORDS: ContextVar[tuple[str, ...]] = ContextVar("words", default=())


@contextmanager
def remembered(words: Sequence[str]) -> Iterator[None]:
    """Remember the words behind `superpose` while the command runs."""
    token = _WORDS.set(tuple(words))
    try:
        yield
    finally:
        _WORDS.reset(token)


def typed() -> str:
    """Give the command as a shell takes it."""
    return shlex.join(["superpose", *_WORDS.get()])
