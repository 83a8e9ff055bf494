"""Trees as drawings: a row for each thing, in lanes, as logs of versions are drawn.

A row has a dot in its lane and its name beside it, so that names of any length stand on any width.
What goes on from a thing is below it: side branches first, one lane to the right, then the branch
with the most in it, in the same lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from superpose.shown.text import shortened

__all__ = ["Graph", "GraphRow", "star", "tree"]

ROW, LANE, LEFT = 28, 18, 12
"""Pixels: of a row, between lanes, and before the first."""

_LONGEST = 60
_CHARACTER = 8.2
"""Pixels of one character of a name, at most on average."""


@dataclass(frozen=True)
class GraphRow:
    """One thing. says: what it says when it is pointed at. above: the row that it hangs on."""

    name: str
    says: str
    lane: int
    above: int | None
    kind: str = "member"


@dataclass(frozen=True)
class Graph:
    """A drawing. key: its own on the page. says: the drawing in a sentence."""

    key: str
    title: str
    says: str
    rows: tuple[GraphRow, ...]

    @property
    def height(self) -> int:
        """In pixels."""
        return ROW * len(self.rows)

    @property
    def width(self) -> int:
        """In pixels: of the widest row."""
        ends = (self.text_at(row) + _CHARACTER * len(self.short(row)) for row in self.rows)
        return int(max(ends, default=0)) + LEFT

    @property
    def lines(self) -> list[str]:
        """The paths from each row to the one that it hangs on."""
        return [
            self._line(at, row.above) for at, row in enumerate(self.rows) if row.above is not None
        ]

    def x(self, row: GraphRow) -> int:
        """Give where a row's dot is, across."""
        return LEFT + LANE * row.lane

    def y(self, at: int) -> int:
        """Give where a row is, down."""
        return ROW * at + ROW // 2

    def text_at(self, row: GraphRow) -> int:
        """Give where a row's name begins."""
        return self.x(row) + LEFT

    def short(self, row: GraphRow) -> str:
        """Give a row's name as it stands there."""
        return shortened(row.name, _LONGEST)

    def _line(self, at: int, above: int) -> str:
        x, y = self.x(self.rows[above]), self.y(above)
        to, end = self.x(self.rows[at]), self.y(at)
        if x == to:
            return f"M{x},{y}V{end}"
        return f"M{x},{y}V{end - 8}Q{x},{end} {x + 8},{end}H{to}"


def tree(names: Sequence[str], above: Sequence[int | None], says: Sequence[str]) -> list[GraphRow]:
    """Give the rows of a forest. above: of each, the position of the one that it goes on from."""
    below: dict[int | None, list[int]] = {}
    for at, over in enumerate(above):
        below.setdefault(over, []).append(at)
    sizes = _sizes(above)
    rows: list[GraphRow] = []
    places: dict[int, int] = {}
    waiting = [(at, 0) for at in reversed(below.get(None, []))]
    while waiting:
        at, lane = waiting.pop()
        places[at] = len(rows)
        over = above[at]
        rows.append(GraphRow(names[at], says[at], lane, None if over is None else places[over]))
        further = sorted(below.get(at, []), key=lambda one: sizes[one])
        waiting += [(one, lane if one == further[-1] else lane + 1) for one in reversed(further)]
    return rows


def star(start: str, names: Sequence[str], says: Sequence[str]) -> list[GraphRow]:
    """Give the rows of things that began with one."""
    members = (GraphRow(name, said, 1, 0) for name, said in zip(names, says, strict=True))
    return [GraphRow(start, start, 0, None, "start"), *members]


def _sizes(above: Sequence[int | None]) -> list[int]:
    """Give how many hang on each, itself counted; whatever their order."""
    sizes = [1] * len(above)
    for at in range(len(above)):
        over = above[at]
        while over is not None:
            sizes[over] += 1
            over = above[over]
    return sizes
