"""Telling a long computation's progress, target module by target module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

V = TypeVar("V")

Progress = Callable[[int, int, str], None]
"""Called with what is done, how much there is, and the name of what comes next."""


def told(items: Mapping[str, V], progress: Progress | None) -> Iterator[tuple[str, V]]:
    """Give the items one by one, telling before each how many are done."""
    for done, (name, value) in enumerate(items.items()):
        if progress is not None:
            progress(done, len(items), name)
        yield name, value
    if progress is not None:
        progress(len(items), len(items), "")
