"""What limits a study's correlations, each said once and in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from superpose.studies.summary import FigureCorrelation

__all__ = ["cautions", "other_remarks"]

_PLAIN = (
    (
        re.compile(r"no permutation of (\d+) domains: too few orders"),
        r"\1 domains can be put in too few orders for a permutation test",
    ),
    (
        re.compile(r"(.+): too few to resample"),
        r"\1 only: too few to draw again for an interval",
    ),
    (re.compile(r"^no interval$"), "so there is no interval"),
    (re.compile(r"no permutation: (.+)"), r"no permutation test: \1"),
)
"""Clauses of a correlation's note, and how a page says them."""


def cautions(correlations: Sequence[FigureCorrelation], among: str, but: str = "") -> str:
    """Give what the notes of these correlations say, as sentences.

    among: `pairs` or `all`. but: sentences that are said already, and left out.
    """
    notes = [c.note for c in correlations if c.among == among]
    clauses = [clause for note in notes for clause in note.split("; ") if clause]
    told = (_sentence(clause) for clause in clauses)
    return " ".join(dict.fromkeys(one for one in told if one not in but))


def other_remarks(remarks: Iterable[str], correlations: Sequence[FigureCorrelation]) -> list[str]:
    """Give a study's remarks that are no note of a correlation, as sentences."""
    notes = {c.note for c in correlations}
    return [_sentence(remark) for remark in remarks if remark not in notes]


def _sentence(clause: str) -> str:
    for pattern, plain in _PLAIN:
        clause = pattern.sub(plain, clause)
    named = re.match(r".+?: (at )?\d", clause)  # it begins with a domain, whose name is its own
    start = clause[:1] if named else clause[:1].upper()
    return f"{start}{clause[1:].rstrip('.')}."
