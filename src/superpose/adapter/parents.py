"""What a superposition was made from: the parents, each with its task weight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Parent(NamedTuple):
    """One adapter of a superposition. path: where it was read from, None when made in memory."""

    name: str
    path: str | None
    weight: float


def joined(parents: Iterable[Parent]) -> tuple[Parent, ...]:
    """Add the weights of parents that are one adapter, in order of first appearance."""
    weights: dict[tuple[str, str | None], float] = {}
    for name, path, weight in parents:
        weights[name, path] = weights.get((name, path), 0.0) + weight
    return tuple(Parent(name, path, weight) for (name, path), weight in weights.items())


def sum_name(parents: Iterable[Parent]) -> str:
    """Write a superposition the way the mathematics is read: `math + 0.5*law - toxic`."""
    text = ""
    for parent in parents:
        size = abs(parent.weight)
        part = parent.name if size == 1.0 else f"{size:g}*{parent.name}"
        negative = parent.weight < 0
        text += ((" - " if negative else " + ") if text else ("-" if negative else "")) + part
    return text
