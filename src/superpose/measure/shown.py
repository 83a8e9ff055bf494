"""What a notebook shows of tuned task weights; the words are those of `superpose tune`."""

from __future__ import annotations

from superpose.adapter import formula
from superpose.html import shown, table
from superpose.landscape.shown import perplexity
from superpose.measure.tune import Point, Tuned

__all__ = ["tuned_html"]


def tuned_html(found: Tuned) -> str:
    """Give everything that was measured on the way, the best first."""
    points = sorted(found.points, key=lambda point: point.objective)
    return shown(
        table(
            "Perplexity of the answers on the calibration rows, the best first",
            ("task weights", "method", *found.domains, "objective"),
            [_row(found, point) for point in points],
            texts=(1,),
        )
    )


def _row(found: Tuned, point: Point) -> tuple[str, ...]:
    weights = dict(zip(found.names, (round(w, 3) for w in point.weights), strict=True))
    cells = map(perplexity, point.nll)
    return (formula(weights), point.method, *cells, f"{point.objective:+.4f}")
