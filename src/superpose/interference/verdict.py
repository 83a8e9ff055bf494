"""What a pair's figures mean, in words that claim no more than weights can tell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from superpose.interference.evidence import evidence
from superpose.interference.next_step import next_step
from superpose.interference.reading import READINGS, reading

if TYPE_CHECKING:
    from superpose.interference.difference import Difference
    from superpose.interference.pair import Pair

VERDICTS = tuple(READINGS)
"""Every verdict, the weightiest first."""


class Verdict(NamedTuple):
    """verdict: one of VERDICTS, for programs. reason: sentences. next: what to do, in one line."""

    verdict: str
    reason: str
    next: str


def judge(pair: Pair) -> Verdict:
    """Give the weightiest reading, the figures behind it in sentences, and the next step.

    The same words in a terminal, a notebook and a page. The order of a and b changes no verdict.
    """
    verdict = reading(pair)
    return Verdict(verdict, " ".join(evidence(verdict, pair)), next_step(verdict, pair))


def judge_difference(found: Difference) -> str:
    """Say whether two adapters are the same, and how far apart they are where they are not."""
    size = "not comparable" if math.isnan(found.difference) else f"{found.difference:.3g}"
    if found.same:
        exactly = found.difference == 0.0
        return "the same" if exactly else f"the same up to rounding: relative difference {size}"
    if not found.one_base:
        return f"different: base models of different names; relative difference {size}"
    count = len(found.differing)
    of = len(found.modules) + len(found.tensors)
    over_all = f": relative difference {size} over all target modules" if found.modules else ""
    return f"different in {count} of {of} modules{over_all}"
