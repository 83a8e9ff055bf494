"""Charts as SVG: where everything lies, in shares of the width and the height.

`templates/chart.jinja` writes them and `assets/chart.css` gives colours and sizes: a chart fits any
width and either theme, on paper too, and needs no script. What differs in colour differs in shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from superpose.report.tables import DataTable
from superpose.shown.words import figure

__all__ = ["Area", "Axis", "Chart", "Dot", "Dots", "Segment"]

MARGIN = 0.06
"""Share of an axis that stays free beyond its values, on either side."""

MANY = 60
"""Dots from which their intervals are drawn thin, or they were one blot."""

TICKS = 7
"""An axis has fewer ticks than that."""


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`. ticks: (value, text). grid: whether lines cross the chart."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    grid: bool = True

    @classmethod
    def over(cls, title: str, values: Iterable[float], *, zero: bool = False) -> Axis:
        """Give an axis that holds the values, and zero where told."""
        held = [*values, *([0.0] if zero else [])] or [0.0, 1.0]
        low, high = min(held), max(held)
        if not high > low:
            low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
        free = MARGIN * (high - low)
        low, high = low if zero and low == 0 else low - free, high + free
        return cls(title, low, high, _ticks(low, high))

    @classmethod
    def of_names(cls, names: Sequence[str]) -> Axis:
        """Give an axis of names, the first on top: the k-th of n lies at n - 1 - k."""
        ticks = tuple((len(names) - 1.0 - k, name) for k, name in enumerate(names))
        return cls("", -0.5, len(names) - 0.5, ticks, grid=False)

    def percent(self, value: float) -> float:
        """Give where a value lies between the ends."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    @property
    def widest(self) -> int:
        """How many characters the longest tick has."""
        return max((len(text) for _, text in self.ticks), default=0)


@dataclass(frozen=True)
class Dot:
    """A point. says: what it says when it is pointed at. ends: of its interval, across."""

    x: float
    y: float
    says: str
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Dots:
    """Points of one kind. kind: what their style is called, and their shape."""

    name: str
    kind: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Segment:
    """A line between two points, each (x, y)."""

    name: str
    kind: str
    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True)
class Area:
    """A shaded area. corners: (x, y), in order."""

    name: str
    kind: str
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """A chart with what it shows in words, and its points as a table.

    says: the chart in a sentence, for those who do not see it. note: what it does not show.
    """

    key: str
    title: str
    says: str
    note: str
    x: Axis
    y: Axis
    dots: tuple[Dots, ...]
    table: DataTable
    lines: tuple[Segment, ...] = ()
    areas: tuple[Area, ...] = ()
    equal: bool = False
    """Whether both axes are one scale, so that the diagonal is one."""

    @property
    def style(self) -> str:
        """Its classes: `equal`, and `many` where intervals would cover each other."""
        many = sum(len(one.dots) for one in self.dots) > MANY
        return f"chart{' equal' if self.equal else ''}{' many' if many else ''}"

    def across(self, x: float) -> float:
        """Give how far to the right, in per cent of the width."""
        return self.x.percent(x)

    def down(self, y: float) -> float:
        """Give how far from the top, in per cent of the height."""
        return round(100 - self.y.percent(y), 2)


def _ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Give round values between the ends: steps of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10((high - low) / TICKS))
    step = next(power * m for m in (1, 2, 5, 10) if (high - low) / (power * m) < TICKS)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    form = f",.{digits}f" if max(abs(low), abs(high)) < 1e6 else ".3g"
    first, last = math.ceil(low / step), math.floor(high / step)
    return tuple((k * step, figure(k * step, form)) for k in range(first, last + 1))
