"""What a superposition was made from: the parents, each with its task weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Parent:
    """One adapter of a superposition. path: where it was read from, None when made in memory.

    words: that its file says images of it are called by.

    identity: tells adapters apart that were made in memory, because two of them may well have one
    name; no part of what is compared, shown or written.
    """

    name: str
    path: str | None
    weight: float
    identity: object = field(default_factory=object, compare=False, repr=False)
    words: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where it was read from, with the weights by part that its name has; else its name."""
        if self.path is None:
            return self.name
        _, colon, parts = self.name.rpartition(":")
        return f"{self.path}:{parts}" if colon and "=" in parts else self.path

    def with_weight(self, weight: float) -> Parent:
        """Give the same adapter with another task weight."""
        return replace(self, weight=weight)

    def to_json(self) -> dict[str, object]:
        """Give name, path and weight, and the words where there are any."""
        words = {"words": list(self.words)} if self.words else {}
        return {"name": self.name, "path": self.path, "weight": self.weight, **words}


def joined_parents(parents: Iterable[Parent]) -> tuple[Parent, ...]:
    """Add the weights of parents that are one adapter, in order of first appearance.

    One adapter is one path, with the weights by part that it has there, or one object in memory;
    never one name alone.
    """
    found: dict[object, Parent] = {}
    for parent in parents:
        key = parent.identity if parent.path is None else parent.place
        before = found.get(key)
        found[key] = parent if before is None else before.with_weight(before.weight + parent.weight)
    return tuple(found.values())


def sum_name(parents: Iterable[Parent]) -> str:
    """Write a superposition the way the mathematics is read: `math + 0.5*law - toxic`."""
    text = ""
    for parent in parents:
        size = abs(parent.weight)
        part = parent.name if size == 1.0 else f"{size:g}*{parent.name}"
        negative = parent.weight < 0
        text += ((" - " if negative else " + ") if text else ("-" if negative else "")) + part
    return text


def formula(weights: Mapping[str, float]) -> str:
    """Write task weights by adapter as `math + 0.5 finance`; `base` for none, or zeros."""
    parts = [name if w == 1 else f"{w:g} {name}" for name, w in weights.items() if w]
    return " + ".join(parts) or "base"


def sum_or_formula(weights: Mapping[str, float]) -> tuple[str, ...] | str:
    """Give the adapters of a plain sum, which may be numbered; of other weights the formula."""
    plain = any(weights.values()) and set(weights.values()) <= {0.0, 1.0}
    return tuple(name for name in weights if weights[name]) if plain else formula(weights)
