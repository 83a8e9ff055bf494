"""What a comparison of methods will take, said before it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from superpose.shown.words import counted
from superpose.verbs.notes import note

if TYPE_CHECKING:
    from superpose.data.prompt import Example
    from superpose.measure.arena import ArenaRows
    from superpose.measure.contenders import Contender
    from superpose.model import BaseModel

__all__ = ["ComparisonCost", "cost_of", "tell_of_cost", "time_text"]

_QUICK = ("sum", "regmean")
"""What gives a quick answer."""


class _Rows(Protocol):
    """The rows of a comparison, and the passes over those of calibration."""

    @property
    def calibration(self) -> Mapping[str, list[Example]]: ...

    @property
    def test(self) -> ArenaRows: ...

    @property
    def passes(self) -> int: ...


@dataclass(frozen=True)
class ComparisonCost:
    """Forward passes of one row each, and the tokens in them; the algebra of a merge is not in it.

    methods: how many. rows: passes of a row. tokens: in all of them.
    """

    methods: int
    rows: float
    tokens: float

    def text(self, pace: float, workers: int = 1) -> str:
        """Say it. pace: tokens a second of one worker."""
        take = "takes" if self.methods == 1 else "take"
        what = f"{counted(self.methods, 'method')} {take} {self.rows:,.0f} forward passes of a row"
        took = time_text(self.tokens / pace / workers)
        return f"{what}, {self.tokens:,.0f} tokens: about {took} at the pace of this machine"


def cost_of(ring: _Rows, methods: int, references: int) -> ComparisonCost:
    """Count what methods and what they are held against take."""
    calibration = [row.length for rows in ring.calibration.values() for row in rows]
    test = [row.length for rows in ring.test.rows.values() for row in rows]
    asked = [
        len(question.question) + sum(map(len, question.choices))
        for questions in ring.test.choices.values()
        for question in questions
    ]
    once, last = ring.passes * methods, methods + references
    return ComparisonCost(
        methods,
        once * len(calibration) + last * (len(test) + len(asked)),
        once * sum(calibration) + last * (sum(test) + sum(asked)),
    )


def tell_of_cost(
    ring: _Rows,
    base: BaseModel,
    chosen: Sequence[Contender],
    missing: Sequence[str],
    workers: int = 1,
) -> None:
    """Measure the base model's pace, and say what is to be done and what a quick answer takes.

    missing: names of what is not on record yet.
    """
    from superpose.measure.pace import forward_pace

    names = {one.name for one in chosen}
    methods = sum(name in names for name in missing)
    if not methods:
        return
    references = len(missing) - methods
    pace = forward_pace(base.model, next(iter(ring.calibration.values())))
    said = cost_of(ring, methods, references).text(pace, workers)
    quick = cost_of(ring, len(_QUICK), references).tokens / pace / workers
    if methods > len(_QUICK):
        said += f"; --methods {','.join(_QUICK)} takes {time_text(quick)}"
    note("note", said)


def time_text(seconds: float) -> str:
    """Give `40 s`, `12 min` or `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
