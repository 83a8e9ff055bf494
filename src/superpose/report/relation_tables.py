"""The points of the paper's figure and of what stands beside it, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.report.tables import Column, DataTable, Entry, text_entry
from superpose.shown.words import figure
from superpose.statistics.bootstrap import Interval
from superpose.studies.summary import Agreement, FigureCorrelation, ForecastRow, Point

__all__ = [
    "FORECAST",
    "figure_name",
    "foreseen_table",
    "interval_text",
    "points_table",
    "tournament_table",
]

INTERVAL = "_interval"
"""How the name of an interval ends in `summary.json`."""

FORECAST = "forecast (of interference)"

_NAMES = {"rms_cosine": "RMS cosine"}

_AMONG = {"pairs": "pairs", "all": "sums of every size"}
"""What the points of a correlation are, in words."""


def points_table(points: Sequence[Point]) -> DataTable:
    """Give RMS cosine and outcome, a row for each combination and seed."""
    columns = [
        Column("sum", numeric=False),
        Column("seed"),
        Column("RMS cosine"),
        Column("dPPL %", note="against merged data"),
        Column("interference", note="nats"),
    ]
    rows = [
        [
            text_entry(" + ".join(p.domains)),
            Entry(str(p.seed), p.seed),
            Entry(figure(p.rms_cosine, ".5f"), p.rms_cosine),
            Entry(figure(p.dppl_percent, "+.2f"), p.dppl_percent),
            Entry(figure(p.interference, "+.3f"), p.interference),
        ]
        for p in points
    ]
    return DataTable("points", "A point for each combination and seed", columns, rows, "points.csv",
                     _csv_of_sums(points, "domains"))  # fmt: skip


def foreseen_table(rows: Sequence[ForecastRow]) -> DataTable:
    """Give predicted and measured interference of the naive sums."""
    columns = [
        Column("sum", numeric=False),
        Column("domain", numeric=False),
        Column("seed"),
        Column("predicted", note="nats, 95 % interval"),
        Column("measured", note="nats"),
    ]
    entries = [
        [
            text_entry(" + ".join(p.subset)),
            text_entry(p.domain),
            Entry(str(p.seed), p.seed),
            Entry(
                figure(p.predicted_interference, "+.3f"),
                p.predicted_interference,
                f"{figure(p.interference_low, '+.3f')} to {figure(p.interference_high, '+.3f')}",
            ),
            Entry(figure(p.measured_interference, "+.3f"), p.measured_interference),
        ]
        for p in rows
    ]
    return DataTable("foreseen", "Interference of the naive sums", columns, entries,
                     "predicted-measured.csv", _csv_of_sums(rows, "subset"))  # fmt: skip


def _csv_of_sums(
    rows: Sequence[Point | ForecastRow], names: str
) -> tuple[list[str], list[list[object]]]:
    """Give every field. names: which of them holds the domains of a sum."""
    keys = [key for key in (vars(rows[0]) if rows else ()) if key != names]
    csv = [[" + ".join(getattr(r, names)), *(getattr(r, key) for key in keys)] for r in rows]
    return ["sum", *keys], csv


def tournament_table(
    correlations: Sequence[FigureCorrelation], forecast: Agreement | None = None
) -> DataTable:
    """Give each figure's correlations with dPPL, and the forecast's with interference.

    The forecast has no interval: its points, a domain of a sum each, share adapters and domains.
    """
    kinds = ("pearson", "spearman", "slope")
    columns = [
        Column("figure", numeric=False),
        Column("among", numeric=False),
        Column("points"),
        *(Column(kind.capitalize() if kind != "slope" else kind, note="95 % interval")
          for kind in kinds),
    ]  # fmt: skip
    rows = [
        [
            text_entry(figure_name(c)),
            text_entry(_AMONG[c.among]),
            Entry(str(c.n), c.n),
            *(_correlation(getattr(c, k), getattr(c, f"{k}{INTERVAL}")) for k in kinds),
        ]
        for c in correlations
    ]
    columns_of_csv, csv = _csv_of_correlations(correlations)
    if forecast is not None:
        found = (forecast.pearson, forecast.spearman, None)
        head = [text_entry(FORECAST), text_entry("domains of every sum")]
        rows.append([*head, Entry(str(forecast.n), forecast.n), *map(_correlation, found)])
        known = vars(forecast) | {"figure": "forecast_of_interference", "among": "domains"}
        csv.append([known.get(key) for key in columns_of_csv])
    return DataTable("tournament", "Each figure against dPPL", columns, rows, "correlations.csv",
                     (columns_of_csv, csv))  # fmt: skip


def _correlation(value: float | None, interval: Interval | None = None) -> Entry:
    return Entry(figure(value, ",.2f"), value, interval_text(interval))


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


def interval_text(ends: Interval | None) -> str:
    """Give `0.57 to 0.99`; nothing where there is no interval."""
    return f"{figure(ends[0], ',.2f')} to {figure(ends[1], ',.2f')}" if ends else ""


def figure_name(c: FigureCorrelation) -> str:
    """Give what people call the figure of a correlation."""
    return _NAMES.get(c.figure, c.figure.replace("_", " "))
