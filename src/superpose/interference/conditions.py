"""Conditions of `--fail-on`: `rms>3`, `cosine>0.1`, `output>0.5`, `norm>10`, `shared-a`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superpose.errors import BadInput

if TYPE_CHECKING:
    from superpose.interference import Pair

__all__ = ["CONDITIONS", "Condition", "parse_condition"]

_FIGURES: dict[str, tuple[str, Callable[[Pair], float]]] = {
    "rms": ("RMS cosine in multiples of its floor", lambda p: p.rms_cosine / p.rms_cosine_floor),
    "cosine": ("whole-adapter cosine, signed", lambda p: p.cosine),
    "output": ("overlap of the output sides", lambda p: p.output_overlap),
    "input": ("overlap of the input sides", lambda p: p.input_overlap),
    "norm": ("norm ratio, larger to smaller", lambda p: p.norm_ratio),
}
_SHARED_A = "shared-a"

CONDITIONS = ", ".join([f"{name} ({meaning})" for name, (meaning, _) in _FIGURES.items()])
"""What a condition may compare with a number, for help and messages."""

_FORM = re.compile(r"\s*([a-z-]+)\s*(?:([<>])\s*(\S+))?\s*")


@dataclass(frozen=True)
class Condition:
    """`figure > limit` or `figure < limit`; for `shared-a`, side and limit stay empty."""

    text: str
    figure: str
    side: str
    limit: float

    @property
    def meaning(self) -> str:
        """What its figure is, in words."""
        return "a start from the same A" if self.figure == _SHARED_A else _FIGURES[self.figure][0]

    def is_met(self, pair: Pair) -> bool:
        """Tell whether the pair has what must not be, or has no such figure to tell it by.

        A gate that cannot be judged does not pass.
        """
        if self.figure == _SHARED_A:
            return pair.shared_a
        value = self._value(pair)
        return math.isnan(value) or (value > self.limit if self.side == ">" else value < self.limit)

    def told(self, pair: Pair) -> str:
        """Name pair and figure, for the message."""
        what = f"{pair.a} and {pair.b}"
        if self.figure == _SHARED_A:
            return f"{what} started from the same A"
        meaning, value = _FIGURES[self.figure][0], self._value(pair)
        if math.isnan(value):
            return f"{what}: there is no {meaning} to judge by: {pair.judgement.verdict}"
        return f"{what}: {meaning} is {value:.4g}"

    def _value(self, pair: Pair) -> float:
        return _FIGURES[self.figure][1](pair)


def parse_condition(text: str) -> Condition:
    """Read one condition; raises BadInput for one that is not understood."""
    form = _FORM.fullmatch(text)
    figure, side, number = form.groups() if form else ("", None, None)
    if figure == _SHARED_A and side is None:
        return Condition(text, figure, "", math.nan)
    limit = _number(number)
    if figure not in _FIGURES or side is None or math.isnan(limit):
        raise BadInput(
            f"`{text}` is no condition",
            where="--fail-on",
            hint=f"Write FIGURE>NUMBER or FIGURE<NUMBER, or {_SHARED_A}. Figures: {CONDITIONS}.",
        )
    return Condition(text, figure, side, limit)


def _number(text: str | None) -> float:
    try:
        return math.nan if text is None else float(text)
    except ValueError:
        return math.nan
