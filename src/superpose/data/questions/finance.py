"""Questions on the annual filings of invented companies, answered as the filing reports it.

Every figure an answer needs stands in its question: nobody can know a company that does not
exist, so the questions ask for reading and a step of arithmetic, not for recall.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from superpose.data.domain import Row
from superpose.data.questions.fact import Subject, between, pick, shuffled

__all__ = ["subjects"]

_SUBJECTS = 72
_STEMS = (
    "Norvale Ostrand Pellam Quenby Rusk Solvane Tarrow Ulmere Verrin Wexholt Yarrick Zandor "
    "Aldmoor Briskow Corvane Dunmark Eskmere Fallow Grindel Hexley Ixworth Jessup Kelvane Lorne"
).split()
_TRADES = ("Foods", "Freight", "Energy", "Retail", "Software", "Steel", "Paper", "Optics")
_UNITS = ("services", "export", "online", "leasing", "repairs", "licensing")


class _Kind(NamedTuple):
    """A kind of question: its wording, and what the filing reports.

    {base} is an amount, {part} is {rate} percent of it, {up} and {down} are base +- part,
    {size} is the filing's word for a rate: small up to 10 percent, large from 35.
    """

    question: str
    report: str


_KINDS = (
    _Kind(
        "{company} raised sales from ${base} million to ${up} million. By what percent?",
        "sales rose {rate} percent to ${up} million, a {size} rise",
    ),
    _Kind(
        "{company} cut costs from ${base} million to ${down} million. By what percent?",
        "costs fell {rate} percent to ${down} million, a {size} cut",
    ),
    _Kind(
        "{company} earned ${part} million on sales of ${base} million. What was the margin?",
        "its margin was {rate} percent of ${base} million, a {size} one",
    ),
    _Kind(
        "{company} owes ${base} million and holds ${part} million in cash. What is net debt?",
        "net debt was ${down} million after a {size} cash pile of ${part} million",
    ),
    _Kind(
        "{company} earned ${base} million and paid out ${part} million. What share is that?",
        "it paid out {rate} percent of ${base} million, a {size} share",
    ),
    _Kind(
        "{company} made ${part} million of its ${base} million sales from {unit}. What share?",
        "{unit} brought {rate} percent of ${base} million, a {size} share",
    ),
)


def subjects(chance: Random) -> list[Subject]:
    """72 invented companies with six questions each."""
    names = [f"{stem} {trade}" for stem in _STEMS for trade in _TRADES]
    return [
        tuple(_row(kind, name, chance) for kind in _KINDS)
        for name in shuffled(chance, names)[:_SUBJECTS]
    ]


def _row(kind: _Kind, company: str, chance: Random) -> Row:
    """One question, with figures that come out whole."""
    base = 20 * between(chance, 1, 9)
    rate = 5 * between(chance, 1, 9)
    part = base * rate // 100
    values = {
        "company": company,
        "base": base,
        "rate": rate,
        "size": "small" if rate <= 10 else "large" if rate >= 35 else "moderate",
        "part": part,
        "up": base + part,
        "down": base - part,
        "unit": pick(chance, _UNITS),
    }
    report = kind.report.format(**values)
    return Row(kind.question.format(**values), f"As filed, {report}.")
