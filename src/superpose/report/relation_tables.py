"""The points of the paper's figure and of what stands beside it, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from superpose.report.tables import Column, DataTable, Entry, text_entry
from superpose.report.texts import figure

__all__ = [
    "AMONG",
    "figure_name",
    "foreseen_table",
    "interval_text",
    "points_table",
    "row_of_forecast",
    "tournament_table",
]

Points = Sequence[Mapping[str, Any]]

INTERVAL = "_interval"
"""How the key of an interval ends in `summary.json`."""

FORECAST = "forecast_of_interference"

_NAMES = {"rms_cosine": "RMS cosine", FORECAST: "forecast (of interference)"}

AMONG = {
    "pairs": "pairs",
    "all": "sums of every size",
    "domains": "domains of every sum",
}
"""What the points of a correlation are, in words."""


def points_table(points: Points) -> DataTable:
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
            text_entry(" + ".join(p["domains"])),
            Entry(str(p["seed"]), p["seed"]),
            Entry(figure(p["rms_cosine"], ".5f"), p["rms_cosine"]),
            Entry(figure(p["dppl_percent"], "+.2f"), p["dppl_percent"]),
            Entry(figure(p["interference"], "+.3f"), p["interference"]),
        ]
        for p in points
    ]
    keys = [key for key in (points[0] if points else {}) if key != "domains"]
    csv = [[" + ".join(p["domains"]), *(p[key] for key in keys)] for p in points]
    return DataTable("points", "A point for each combination and seed", columns, rows, "points.csv",
                     (["sum", *keys], csv))  # fmt: skip


def foreseen_table(rows: Points) -> DataTable:
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
            text_entry(" + ".join(p["subset"])),
            text_entry(p["domain"]),
            Entry(str(p["seed"]), p["seed"]),
            Entry(
                figure(p["predicted_interference"], "+.3f"),
                p["predicted_interference"],
                f"{figure(p['interference_low'], '+.3f')} to "
                f"{figure(p['interference_high'], '+.3f')}",
            ),
            Entry(figure(p["measured_interference"], "+.3f"), p["measured_interference"]),
        ]
        for p in rows
    ]
    keys = [key for key in (rows[0] if rows else {}) if key != "subset"]
    csv = [[" + ".join(p["subset"]), *(p[key] for key in keys)] for p in rows]
    return DataTable("foreseen", "Interference of the naive sums", columns, entries,
                     "predicted-measured.csv", (["sum", *keys], csv))  # fmt: skip


def row_of_forecast(forecast: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Give how foreseen interference goes with what was measured, as a row among correlations.

    keys: of a correlation; None where the forecast has no such figure. It has no interval: its
    points, a domain of a sum each, share adapters and domains.
    """
    found = forecast["interference"]
    return {
        **dict.fromkeys(keys),
        "figure": FORECAST,
        "among": "domains",
        **{key: found[key] for key in ("n", "pearson", "spearman")},
    }


def tournament_table(correlations: Points) -> DataTable:
    """Give each figure's correlations with dPPL, and the forecast's with interference."""
    columns = [
        Column("figure", numeric=False),
        Column("among", numeric=False),
        Column("points"),
        *(Column(name, note="95 % interval") for name in ("Pearson", "Spearman", "slope")),
    ]
    kinds = ("pearson", "spearman", "slope")
    rows = [
        [
            text_entry(figure_name(c)),
            text_entry(AMONG[c["among"]]),
            Entry(str(c["n"]), c["n"]),
            *(Entry(figure(c[k], ",.2f"), c[k], interval_text(c[f"{k}_interval"])) for k in kinds),
        ]
        for c in correlations
    ]
    return DataTable("tournament", "Each figure against dPPL", columns, rows, "correlations.csv",
                     _csv_of_correlations(correlations))  # fmt: skip


def _csv_of_correlations(correlations: Points) -> tuple[list[str], list[list[object]]]:
    """Give every figure of each correlation, the ends of an interval in columns of their own."""
    keys = [key for key in correlations[0] if not key.endswith(INTERVAL)]
    kinds = [key.removesuffix(INTERVAL) for key in correlations[0] if key.endswith(INTERVAL)]
    columns = [*keys, *(f"{kind}_{end}" for kind in kinds for end in ("low", "high"))]
    rows = []
    for c in correlations:
        ends = [c[f"{kind}{INTERVAL}"] or (None, None) for kind in kinds]
        rows.append([*(c[key] for key in keys), *(end for both in ends for end in both)])
    return columns, rows


def interval_text(ends: Sequence[float | None] | None) -> str:
    """Give `0.57 to 0.99`; nothing where there is no interval."""
    if not ends or ends[0] is None or ends[1] is None:
        return ""
    return f"{figure(ends[0], ',.2f')} to {figure(ends[1], ',.2f')}"


def figure_name(c: Mapping[str, Any]) -> str:
    """Give what people call the figure of a correlation."""
    return _NAMES.get(c["figure"], str(c["figure"]).replace("_", " "))
