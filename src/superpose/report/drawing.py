"""A chart on its own, for a paper: where every stroke and word lies, in points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from superpose.report.charts import Area, Axis, Chart, Dots, Segment
from superpose.report.helvetica import text_width

__all__ = ["SIZE", "Disc", "Drawing", "Filled", "Point", "Straight", "Stroke", "Word", "drawing_of"]

SIZE = 8.0
"""Height of letters."""

Point: TypeAlias = tuple[float, float]

INK, SOFT, FAINT, GREY = "#1b2530", "#5b6670", "#d5dade", "#8a939c"
COLOURS = {"pairs": "#0072b2", "larger": "#d55e00", "forecast": "#009e73"}
"""Okabe and Ito's, as on a page (`assets/chart.css`)."""

_WIDTH, _HEIGHT, _SQUARE = 300.0, 190.0, 210.0
_RADIUS = 2.4
_GAP = 12.0


@dataclass(frozen=True)
class Straight:
    """A line. dash: lengths of strokes and gaps; none for a whole one."""

    start: Point
    end: Point
    colour: str
    width: float = 0.5
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Filled:
    """A polygon without an outline. opacity: 1 hides what is below it."""

    corners: tuple[Point, ...]
    colour: str
    opacity: float = 1.0


@dataclass(frozen=True)
class Disc:
    """A filled circle."""

    centre: Point
    colour: str
    radius: float = _RADIUS


@dataclass(frozen=True)
class Word:
    """A text on one line. anchor: which part of it lies at `at`: start, middle or end."""

    at: Point
    text: str
    anchor: str = "start"
    colour: str = INK


Stroke: TypeAlias = Straight | Filled | Disc | Word


@dataclass(frozen=True)
class Drawing:
    """Strokes from the back to the front, (0, 0) at the left on top. says: all of it in words."""

    title: str
    says: str
    width: float
    height: float
    strokes: tuple[Stroke, ...]


@dataclass(frozen=True)
class _Frame:
    """The rectangle that the values lie in: its left upper corner, and its size."""

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> Point:
        """Give where a point of the chart lies."""
        return self.across(x), self.down(y)

    def across(self, x: float) -> float:
        return round(self.left + self.width * self.x.percent(x) / 100, 2)

    def down(self, y: float) -> float:
        return round(self.top + self.height * (1 - self.y.percent(y) / 100), 2)


def drawing_of(chart: Chart) -> Drawing:
    """Lay a chart out: its kinds in words on top, its axes, and everything in it."""
    left = _GAP + max((text_width(text, SIZE) for _, text in chart.y.ticks), default=0.0)
    width, height = (_SQUARE, _SQUARE) if chart.equal else (_WIDTH, _HEIGHT)
    kinds, below = _kinds(chart, left, left + width)
    frame = _Frame(left, below + 2.2 * SIZE, width, height, chart.x, chart.y)
    strokes = (*kinds, *_axes(frame), *_held(chart, frame))
    bottom = frame.top + height + 4.2 * SIZE
    return Drawing(
        chart.title, chart.says, round(left + width + _GAP, 2), round(bottom, 2), strokes
    )


def _kinds(chart: Chart, left: float, right: float) -> tuple[list[Stroke], float]:
    """Give samples and names of what is drawn, in lines; and where the last line lies."""
    found: list[Stroke] = []
    x, y = left, 1.5 * SIZE
    named: tuple[Area | Segment | Dots, ...] = (*chart.areas, *chart.lines, *chart.dots)
    for one in named:
        length = 2.2 * SIZE + text_width(one.name, SIZE)
        if x > left and x + length > right:
            x, y = left, y + 1.5 * SIZE
        middle = y - 0.35 * SIZE
        if isinstance(one, Dots):
            found += _mark((x + SIZE, middle), one.kind)
        elif isinstance(one, Segment):
            found.append(
                Straight((x, middle), (x + 1.8 * SIZE, middle), GREY, 1.0, _dash(one.kind))
            )
        else:
            ends = ((0.0, -3.0), (14.0, -3.0), (14.0, 3.0), (0.0, 3.0))
            found.append(Filled(tuple((x + a, middle + b) for a, b in ends), GREY, 0.25))
        found.append(Word((x + 2.2 * SIZE, y), one.name))
        x += length + 1.5 * SIZE
    return found, y


def _axes(frame: _Frame) -> list[Stroke]:
    low, right = frame.top + frame.height, frame.left + frame.width
    found: list[Stroke] = []
    for value, text in frame.x.ticks:
        x = frame.across(value)
        found.append(Straight((x, frame.top), (x, low), SOFT if value == 0 else FAINT))
        found.append(Word((x, low + 1.5 * SIZE), text, "middle"))
    for value, text in frame.y.ticks:
        y = frame.down(value)
        if frame.y.grid:
            found.append(Straight((frame.left, y), (right, y), SOFT if value == 0 else FAINT))
        found.append(Word((frame.left - 0.5 * SIZE, y + 0.35 * SIZE), text, "end"))
    found.append(Word((right, low + 3.2 * SIZE), frame.x.title, "end", SOFT))
    if frame.y.title:
        found.append(Word((frame.left, frame.top - 0.8 * SIZE), frame.y.title, "start", SOFT))
    return found


def _held(chart: Chart, frame: _Frame) -> list[Stroke]:
    found: list[Stroke] = []
    for area in chart.areas:
        found.append(Filled(tuple(frame.at(*corner) for corner in area.corners), GREY, 0.25))
    for one in chart.lines:
        ends = frame.at(*one.start), frame.at(*one.end)
        found.append(Straight(*ends, GREY, 1.0, _dash(one.kind)))
    for dots in chart.dots:
        for dot in dots.dots:
            if dot.ends is not None:
                ends = frame.at(dot.ends[0], dot.y), frame.at(dot.ends[1], dot.y)
                found.append(Straight(*ends, COLOURS[dots.kind], 0.7))
    for dots in chart.dots:
        for dot in dots.dots:
            found += _mark(frame.at(dot.x, dot.y), dots.kind)
    return found


def _mark(at: Point, kind: str) -> list[Stroke]:
    """Give a point's shape: what differs in colour differs in shape too."""
    x, y, r, colour = *at, _RADIUS, COLOURS[kind]
    if kind == "pairs":
        return [Disc(at, colour)]
    s = 1.3 * r if kind == "larger" else 0.9 * r
    turned = kind == "larger"
    corners = (
        ((x, y - s), (x + s, y), (x, y + s), (x - s, y))
        if turned
        else ((x - s, y - s), (x + s, y - s), (x + s, y + s), (x - s, y + s))
    )
    return [Filled(corners, colour)]


def _dash(kind: str) -> tuple[float, ...]:
    return (2.0, 3.0) if kind == "equal" else ()
