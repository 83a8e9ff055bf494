"""The points of the paper's figure and of what stands beside it, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.report.tables import DataTable
from superpose.shown import Table
from superpose.studies.summary import Accuracy, FigureCorrelation, ForecastRow, SubsetPoint
from superpose.studies.tables import CORRELATIONS, FORECAST, FORESEEN, POINTS

__all__ = ["foreseen_table", "points_table", "tournament_table"]

INTERVAL = "_interval"
"""How the name of an interval ends in `summary.json`."""


def points_table(points: Sequence[SubsetPoint]) -> DataTable:
    """Give RMS cosine and outcome, a row for each combination and seed."""
    table = Table.of("A point for each combination and seed", POINTS, points)
    return DataTable("points", table, "points.csv", _csv_of_sums(points, "domains"))


def foreseen_table(rows: Sequence[ForecastRow]) -> DataTable:
    """Give predicted and measured interference of the naive sums."""
    table = Table.of("Interference of the naive sums", FORESEEN, rows)
    return DataTable("foreseen", table, "predicted-measured.csv", _csv_of_sums(rows, "subset"))


def _csv_of_sums(
    rows: Sequence[SubsetPoint | ForecastRow], names: str
) -> tuple[list[str], list[list[object]]]:
    """Give every field. names: which of them holds the domains of a sum."""
    keys = [key for key in (vars(rows[0]) if rows else ()) if key != names]
    csv = [[" + ".join(getattr(r, names)), *(getattr(r, key) for key in keys)] for r in rows]
    return ["sum", *keys], csv


def tournament_table(
    correlations: Sequence[FigureCorrelation], forecast: Accuracy | None = None
) -> DataTable:
    """Give each figure's correlations with dPPL, and the forecast's with interference.

    The forecast has no interval: its points, a domain of a sum each, share adapters and domains.
    """
    columns, csv = _csv_of_correlations(correlations)
    records: list[object] = [*correlations]
    if forecast is not None:
        own = vars(forecast) | {"figure": FORECAST, "among": "domains"}
        known = dict.fromkeys(vars(correlations[0])) | own
        records.append(known)
        csv.append([known.get(key) for key in columns])
    table = Table.of("Each figure against dPPL", CORRELATIONS, records)
    return DataTable("tournament", table, "correlations.csv", (columns, csv))


def _csv_of_correlations(
    correlations: Sequence[FigureCorrelation],
) -> tuple[list[str], list[list[object]]]:
    """Give every figure of each correlation, the ends of an interval in columns of their own."""
    keys = [key for key in vars(correlations[0]) if not key.endswith(INTERVAL)]
    intervals = [key for key in vars(correlations[0]) if key.endswith(INTERVAL)]
    columns = [
        f"{key.removesuffix(INTERVAL)}_{end}" for key in intervals for end in ("low", "high")
    ]
    rows = []
    for c in correlations:
        ends = [getattr(c, key) or (None, None) for key in intervals]
        rows.append([*(getattr(c, key) for key in keys), *(end for both in ends for end in both)])
    return [*keys, *columns], rows
