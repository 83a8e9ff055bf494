"""A difference of two adapters: module by module, its verdict, and what it shows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from superpose.errors import listed
from superpose.files import without_nan
from superpose.interference.facts import Property
from superpose.shown import Column, Framed, Line, Part, Shown, Table

MOST = 10
"""Differing modules that are shown; `diff --json` lists all."""


@dataclass(frozen=True)
class ModuleDifference:
    """One target module, or one tensor stored absolutely.

    norm_a, norm_b: |dW| in each (of the tensor itself, for one stored absolutely), None in one that
    does not have it. difference: |dW_a - dW_b| / max(|dW_a|, |dW_b|): 0 for the same, 1 where one
    is zero or missing, up to 2 for opposites; NaN where it does not exist: their shapes differ, or
    only the base model could tell. Of a DoRA weight it is that of magnitude or delta, the larger.
    """

    name: str
    norm_a: float | None
    norm_b: float | None
    difference: float


@dataclass(frozen=True)
class Difference(Framed, Shown):
    """How two adapters differ.

    a, b: their names, told apart. facts: properties that differ without changing what is added,
    and the base model. modules, tensors: all that either has (target modules; tensors stored
    absolutely). difference: |a - b| / max(|a|, |b|) over all target modules as one vector, 0 when
    both are zero, NaN where shapes differ. tolerance: up to which a module counts as the same.
    one_base: whether both name one base model.
    """

    TABLE: ClassVar[str] = "modules"

    a: str
    b: str
    facts: tuple[Property, ...]
    modules: tuple[ModuleDifference, ...]
    tensors: tuple[ModuleDifference, ...]
    difference: float
    tolerance: float
    one_base: bool

    @property
    def same(self) -> bool:
        """Whether both add the same to the same base model, up to rounding, module by module."""
        return self.one_base and not self.differing

    @property
    def differing(self) -> tuple[ModuleDifference, ...]:
        """Modules and tensors beyond the tolerance, the most different first."""
        found = [m for m in (*self.modules, *self.tensors) if not m.difference <= self.tolerance]
        return tuple(
            sorted(
                found,
                key=lambda m: math.inf if math.isnan(m.difference) else m.difference,
                reverse=True,
            )
        )

    @property
    def verdict(self) -> str:
        """Whether both are the same, in words, and how far apart they are where they are not."""
        size = _size(self.difference)
        if self.same:
            exactly = self.difference == 0.0
            return "the same" if exactly else f"the same up to rounding: relative difference {size}"
        if not self.one_base:
            return f"different: base models of different names; relative difference {size}"
        of = len(self.modules) + len(self.tensors)
        over_all = f": relative difference {size} over all target modules" if self.modules else ""
        return f"different in {len(self.differing)} of {of} modules{over_all}"

    def only_in(self, side: str) -> tuple[str, ...]:
        """Give what only one adapter has. side: "a" or "b"."""
        other = {"a": "norm_b", "b": "norm_a"}[side]
        return tuple(m.name for m in (*self.modules, *self.tensors) if getattr(m, other) is None)

    def to_json(self) -> dict[str, object]:
        """Give what `superpose diff --json` prints: a figure that does not exist is None."""
        found: dict[str, object] = {
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "difference": self.difference,
            "tolerance": self.tolerance,
            "one_base": self.one_base,
            "facts": [vars(fact) for fact in self.facts],
            "only_a": list(self.only_in("a")),
            "only_b": list(self.only_in("b")),
            "modules": [vars(module) for module in self.modules],
            "tensors": [vars(tensor) for tensor in self.tensors],
        }
        return {name: without_nan(value) for name, value in found.items()}

    def shown(self) -> tuple[Part, ...]:
        """Give the verdict, what is held differently, and the modules that differ most."""
        parts: list[Part] = [Line(self.verdict, f"{self.a} and {self.b}:")]
        if self.facts:
            parts.append(Table.of("Held differently", self._held(), self.facts))
        for name, only in ((self.a, self.only_in("a")), (self.b, self.only_in("b"))):
            if only:
                parts.append(Line(listed(only, 3, "{}"), f"only in {name}:"))
        if self.differing:
            most = self.differing[:MOST]
            remark = "" if len(most) == len(self.differing) else f"{MOST} of {len(self.differing)}."
            parts.append(Table.of("Most different", self._sizes(), most, remark))
        return tuple(parts)

    def _held(self) -> Iterable[Column]:
        yield Column("what", lambda fact: fact.name.replace("_", " "))
        yield Column(self.a, lambda fact: _value(fact.a))
        yield Column(self.b, lambda fact: _value(fact.b))

    def _sizes(self) -> Iterable[Column]:
        yield Column("module", "name")
        yield Column(f"norm in {self.a}", lambda module: _size(module.norm_a), "")
        yield Column(f"norm in {self.b}", lambda module: _size(module.norm_b), "")
        yield Column("difference", lambda module: _size(module.difference), "")


def _size(value: float | None) -> str:
    return "-" if value is None else "not comparable" if math.isnan(value) else f"{value:.3g}"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_value, value))
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
