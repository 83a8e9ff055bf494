"""Standings in order: which methods beat the plain sum, and which cannot be told from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.measure.standing import Standing
from superpose.statistics.paired import PairedDifference, PairedRows, paired_difference

__all__ = ["NAIVE", "OWN", "PLAIN", "Ranked", "ranked"]

PLAIN = "sum"
"""The method that all others are held against: the exact sum at its own best scale."""

BASE, OWN, NAIVE, MERGED = "base", "own adapters", "naive sum", "merged data"
"""References by name: no adapter; each adapter on its own domain; the sum at task weights 1; one
adapter of the union of all training rows."""


@dataclass(frozen=True)
class Ranked:
    """A standing beside the others.

    against: its mean over the domains against the plain sum's, in nats an answer token; None of
    that itself and where that was not tried. closed: share of the way from the naive sum to the own
    adapters; None where there is no such way. change: perplexity on the union against merged data,
    in per cent.
    """

    standing: Standing
    against: PairedDifference | None
    closed: float | None
    change: float | None

    @property
    def verdict(self) -> str:
        """Better or worse than the plain sum, or a tie: nearer than two standard errors."""
        if self.against is None:
            return ""
        if self.against.tie:
            return "tie"
        return "better" if self.against.difference < 0.0 else "worse"

    @property
    def nll(self) -> Mapping[str, float]:
        """By domain, nats an answer token."""
        return {domain: score.nll for domain, score in self.standing.scores.items()}

    def to_json(self) -> dict[str, Any]:
        """Give the figures, without the rows that they come from."""
        one, against = self.standing, self.against
        error = None if against is None or math.isinf(against.error) else against.error
        return {
            "method": one.method,
            "settings": dict(one.settings),
            "scale": one.scale,
            "passes": one.passes,
            "nll": dict(self.nll),
            "mean_nll": one.objective,
            "union_nll": one.union.nll,
            "accuracy": {d: sum(each) / len(each) for d, each in one.right.items() if each},
            "accuracy_interval": one.accuracy_intervals,
            "mean_accuracy": one.accuracy,
            "against_sum": None if against is None else against.difference,
            "error": error,
            "verdict": self.verdict,
            "gap_closed": self.closed,
            "dppl_merged": self.change,
            "rank": one.rank,
            "bytes": one.bytes,
            "merging_seconds": round(one.merging, 3),
            "seconds": round(one.seconds, 3),
        }


def ranked(standings: Sequence[Standing], references: Sequence[Standing] = ()) -> list[Ranked]:
    """Give standings with what they are against each other, the best on the test rows first."""
    known = {one.method: one for one in (*references, *standings)}
    found = [
        Ranked(
            one,
            _against(one, known.get(PLAIN)),
            _closed(one, known.get(NAIVE), known.get(OWN)),
            _change(one, known.get(MERGED)),
        )
        for one in standings
    ]
    return sorted(found, key=lambda each: each.standing.objective)


def _against(one: Standing, plain: Standing | None) -> PairedDifference | None:
    if plain is None or one is plain:
        return None
    return paired_difference(
        [
            PairedRows(score.row_nll, plain.scores[domain].row_nll, score.row_tokens)
            for domain, score in one.scores.items()
        ]
    )


def _closed(one: Standing, naive: Standing | None, own: Standing | None) -> float | None:
    if naive is None or own is None or naive.objective <= own.objective:
        return None
    return (naive.objective - one.objective) / (naive.objective - own.objective)


def _change(one: Standing, merged: Standing | None) -> float | None:
    if merged is None:
        return None
    return 100.0 * math.expm1(min(one.union.nll - merged.union.nll, 700.0))
