"""Lambda space as it was registered, and as it foretells since what saturates was seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.prediction.judging import BEST, GROUPS, Judged, promised
from benchmarks.prediction.measured import Measured
from benchmarks.second.coverage import SEEN
from benchmarks.second.figures import calibration, rows_of
from benchmarks.second.rows import Array, Measurements
from superpose.landscape.polynomial import Polynomial
from superpose.statistics import correlate

__all__ = ["FORMS", "forms"]

FORMS = {"registered": False, "now": True}
"""Whether what several others do together saturates."""

NEW = "new seeds"
"""All sums of the seeds that had not been looked at when the form was changed."""


def forms(found: Measurements) -> dict[str, dict[str, Any]]:
    """Give of each form, for each group of sums, how well it foretells their interference.

    Groups are the tournament's; without any point they are left out, new seeds too.
    """
    rows = list(rows_of(found))
    chosen = {name: [GROUPS[name](row.point) for row in rows] for name in GROUPS}
    chosen[NEW] = [row.point.seed not in SEEN for row in rows]
    truth = np.array([row.interference for row in rows])
    return {
        form: {
            group: _told(foretold, truth, rows, np.array(those))
            for group, those in chosen.items()
            if any(those)
        }
        for form, saturating in FORMS.items()
        for foretold in [_foretold(found, rows, saturating=saturating)]
    }


def _foretold(found: Measurements, rows: Sequence[Measured], *, saturating: bool) -> Array:
    """Give L(sum) - L(own) as foretold, (points,)."""
    losses = {
        (seed, domain): Polynomial.fit(
            calibration(found, seed, domain).sample, saturating=saturating
        )
        for seed in found.seeds
        for domain in found.domains
    }
    return np.array(
        [
            losses[row.point.seed, row.domain].value(found.sum_of(row.point.domains))
            - losses[row.point.seed, row.domain].value(found.alone(row.domain))
            for row in rows
        ]
    )


def _told(
    foretold: Array, truth: Array, rows: Sequence[Measured], those: np.ndarray
) -> dict[str, Any]:
    places = np.flatnonzero(those)
    x, y = foretold[places], truth[places]
    held = [Judged(rows[at], {BEST: foretold[at]}) for at in places]
    said = promised(held, ())
    relation = correlate(
        x,
        y,
        domains=[rows[at].point.domains for at in places],
        seeds=[rows[at].point.seed for at in places],
    )
    ends = relation.spearman_interval
    return {
        "n": len(places),
        "spearman": None if relation.spearman is None else _short(relation.spearman),
        "spearman_interval": ends and [_short(end) for end in ends],
        "error": _short(float(np.abs(x - y).mean())),
        "bias": _short(float((x - y).mean())),
        "mean": _short(float(y.mean())),
        "share": said and said["error_share"],
    }


def _short(x: float) -> float:
    return float(f"{x:.5g}")
