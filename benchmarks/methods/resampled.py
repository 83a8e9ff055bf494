"""The share of the gap that a way closes, with the same resamples for every way."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.methods.rows import Array, Cell, Measurements
from superpose.statistics.bootstrap import counts, percentiles

__all__ = ["Resampled", "Share"]

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Share:
    """A share, and what it is in each resample, (resamples,)."""

    value: float
    drawn: Array

    def less(self, other: Share) -> Share:
        """Give by how much it is more than another one, of the same resamples."""
        return Share(self.value - other.value, self.drawn - other.drawn)

    def to_json(self) -> dict[str, Any]:
        """Give the value and the middle 95 % of the resamples; null where they have none."""
        interval = percentiles(self.drawn, LEVEL)
        ends = None if interval is None else [round(end, 4) for end in interval]
        return {"value": round(self.value, 4), "interval": ends}


class Resampled:
    """Row losses, resampled: each domain's questions, and the sums, each by themselves.

    A question counts in a resample as often in every sum and way, and a sum as often for every way,
    so differences are paired (Owen, The pigeonhole bootstrap, 2007, doi:10.1214/07-AOAS122).
    naive: the way that loses the gap. fewest: of fewer sums none is drawn, and each counts once.
    """

    def __init__(
        self, found: Measurements, sums: Sequence[Cell], naive: str = "sum", fewest: int = 0
    ) -> None:
        self.found, self._naive, self._fewest = found, naive, fewest
        rows = {name: each for cell in sums for name, each in found[cell].items()}
        self._questions = {
            name: _drawn(len(each.tokens), f"questions of {name}") for name, each in rows.items()
        }
        drawn = _drawn(len(sums), "sums")
        self._sums = {cell: drawn[:, place] for place, cell in enumerate(sums)}

    def gap_closed(self, way: str, sums: Sequence[Cell]) -> Share:
        """Give the share of what the naive sums lose against own adapters that is gone."""
        naive, own, mine = (self._mean(each, sums) for each in (self._naive, "own", way))
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = (naive - mine) / (naive - own)
        return Share(float(shares[0]), shares[1:])

    def _mean(self, way: str, sums: Sequence[Cell]) -> Array:
        """(1 + resamples,): the mean over sums of nats an answer token; as it is, and as drawn."""
        weights = np.array([self._sums[cell] for cell in sums])
        if len(sums) < self._fewest:
            weights = np.ones_like(weights)
        weights[:, 1:] /= np.maximum(weights[:, 1:].sum(axis=0), 1.0)
        weights[:, 0] = 1 / len(sums)
        figures = [self._figure(cell._replace(way=way)) for cell in sums]
        held = np.where(weights.sum(axis=0) > 0, 1.0, np.nan)
        return np.asarray((weights * np.array(figures)).sum(axis=0) * held)

    def _figure(self, cell: Cell) -> Array:
        """(1 + resamples,): the mean over a sum's members."""
        losses = [
            (self._questions[name] @ rows.nll) / (self._questions[name] @ rows.tokens)
            for name, rows in self.found[cell].items()
        ]
        return np.asarray(np.mean(losses, axis=0))


def _drawn(points: int, what: str) -> Array:
    """(1 + RESAMPLES, points): each point once, and then multiplicities of drawing that many."""
    rng = np.random.default_rng(zlib.crc32(what.encode()))
    return np.vstack([np.ones((1, points)), *counts(points, RESAMPLES, rng)])
