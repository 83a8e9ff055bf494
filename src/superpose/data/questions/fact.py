"""What a domain's question module hands to the generator, and chance that never changes.

A subject is a thing the domain knows about: two numbers, a condition, a company. The generator
gives whole subjects either to training or to test, so no test row asks about anything seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeAlias, TypeVar

from superpose.data.domain import Row

__all__ = ["Subject", "below", "between", "pick", "shuffled"]

Subject: TypeAlias = tuple[Row, ...]
"""Every row about one subject, each a fact of its own."""

_T = TypeVar("_T")


def below(chance: Random, bound: int) -> int:
    """A whole number in [0, bound).

    Only `Random.random` is promised to give the same numbers on every Python version
    (https://docs.python.org/3/library/random.html#notes-on-reproducibility), so everything here
    is built on it rather than on `choice`, `shuffle` or `randrange`.
    """
    return int(chance.random() * bound)


def between(chance: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + below(chance, high - low + 1)


def pick(chance: Random, options: Sequence[_T]) -> _T:
    """One of the options, each as likely as the others."""
    return options[below(chance, len(options))]


def shuffled(chance: Random, items: Sequence[_T]) -> list[_T]:
    """The items in a random order (Fisher and Yates); the argument stays as it was."""
    out = list(items)
    for last in range(len(out) - 1, 0, -1):
        other = below(chance, last + 1)
        out[last], out[other] = out[other], out[last]
    return out
