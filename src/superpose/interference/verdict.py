"""What a pair's figures mean, in words that claim no more than weights can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from superpose.interference.evidence import evidence
from superpose.interference.next_step import next_step
from superpose.interference.reading import READINGS, reading

if TYPE_CHECKING:
    from superpose.interference.figures import PairFigures

VERDICTS = tuple(READINGS)
"""Every verdict, the weightiest first."""


class Verdict(NamedTuple):
    """verdict: one of VERDICTS, for programs. reason: sentences. next: what to do, in one line."""

    verdict: str
    reason: str
    next: str


def judge(pair: PairFigures) -> Verdict:
    """Give the weightiest reading, the figures behind it in sentences, and the next step.

    The same words in a terminal, a notebook and a page. The order of a and b changes no verdict.
    """
    verdict = reading(pair)
    return Verdict(verdict, " ".join(evidence(verdict, pair)), next_step(verdict, pair))
