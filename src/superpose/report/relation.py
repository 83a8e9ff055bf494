"""The paper's figure: RMS cosine against dPPL, predicted against measured, and the tournament."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.cautions import cautions
from superpose.report.charts import BLUE, GREEN, GREY, ORANGE, Chart, axis, dots, label, line
from superpose.report.page import Section
from superpose.report.relation_tables import (
    AMONG,
    figure_name,
    foreseen_table,
    interval_text,
    points_table,
    row_of_forecast,
    tournament_table,
)
from superpose.report.texts import counted, figure

__all__ = ["relation_section"]

Points = Sequence[Mapping[str, Any]]

GROUPS = (("pairs", BLUE, "circle"), ("larger sums", ORANGE, "diamond"))


_NOTE_OF_FORECAST = (
    "The forecast stands beside them by another outcome: the interference that it foretells, in "
    "nats for each domain of a naive sum, against what was measured. It has no interval, since its "
    "points share adapters and domains; and it was made from calibration rows, the others from "
    "weights alone. "
)


def relation_section(summary: Mapping[str, Any]) -> Section:
    """Give the section with all three charts; the second only where there is a forecast."""
    charts = [_paper(summary)]
    if summary["forecast"] is not None:
        charts.append(_foreseen(summary["forecast"]["rows"], summary["forecast"]))
    charts.append(_tournament(summary["correlations"], summary["forecast"]))
    data = {
        "charts": {chart.key: chart.data() for chart in charts},
        "tables": {chart.table.key: chart.table.data() for chart in charts},
    }
    return Section("figure", "What tells the outcome", {"charts": charts}, data, charts=True)


def _paper(summary: Mapping[str, Any]) -> Chart:
    points: Points = [p for p in summary["points"] if p["rms_cosine"] is not None]
    of_pairs = _correlation(summary["correlations"], "rms_cosine", "pairs")
    traces = _fit(points, of_pairs)
    for (name, colour, symbol), group in zip(GROUPS, _by_size(points, "domains"), strict=True):
        if group:
            xy = ([p["rms_cosine"] for p in group], [p["dppl_percent"] for p in group])
            traces.append(dots(name, xy, [_point_says(p) for p in group], colour=colour,
                               symbol=symbol))  # fmt: skip
    r, interval = _r_text(of_pairs)
    seeds = counted(len({p["seed"] for p in points}), "seed")
    return Chart(
        key="paper",
        title="RMS cosine against dPPL",
        says=f"RMS cosine of the deltas across, change of perplexity against merged data up: "
        f"Pearson's r {r} among {counted(int(of_pairs['n']), 'point')} of pairs{interval}, "
        f"{seeds}.",
        note=cautions(summary["correlations"], "pairs"),
        traces=traces,
        layout={
            "xaxis": axis("RMS cosine", rangemode="tozero"),
            "yaxis": axis("dPPL in % against merged data", zeroline=True),
        },
        table=points_table(points),
    )


def _fit(points: Points, of_pairs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The line through the pairs' points, and how far the interval of its slope turns it."""
    slope, start = of_pairs["slope"], of_pairs["intercept"]
    pairs = [p for p in points if len(p["domains"]) == 2]
    if slope is None or start is None or not pairs:
        return []
    x = [min(p["rms_cosine"] for p in pairs), max(p["rms_cosine"] for p in pairs)]
    fit = line("fit to the pairs", x, [start + slope * at for at in x])
    low, high = of_pairs["slope_interval"] or (None, None)
    if low is None or high is None:
        return [fit]
    middle = sum(p["rms_cosine"] for p in pairs) / len(pairs)
    height = sum(p["dppl_percent"] for p in pairs) / len(pairs)
    turned = {s: [height + s * (at - middle) for at in x] for s in (low, high)}
    area = line("95 % interval of its slope", [*x, *reversed(x)],
                [*turned[low], *reversed(turned[high])], fill="toself",
                fillcolor="rgba(138,147,156,0.2)", line={"width": 0})  # fmt: skip
    return [area, fit]


def _foreseen(rows: Points, forecast: Mapping[str, Any]) -> Chart:
    """Interference of naive sums: what the calibration rows said, and what the test rows did."""
    traces = []
    for (name, colour, symbol), group in zip(GROUPS, _by_size(rows, "subset"), strict=True):
        if group:
            predicted = [p["predicted_interference"] for p in group]
            below = [v - p["interference_low"] for v, p in zip(predicted, group, strict=True)]
            above = [p["interference_high"] - v for v, p in zip(predicted, group, strict=True)]
            bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below,
                    "thickness": 1, "width": 0, "color": colour}  # fmt: skip
            xy = (predicted, [p["measured_interference"] for p in group])
            traces.append(dots(name, xy, [_row_says(p) for p in group], colour=colour,
                               symbol=symbol, error_x=bars))  # fmt: skip
    values = [p[f"{kind}_interference"] for p in rows for kind in ("predicted", "measured")]
    ends = [min(0.0, *values), max(values)]
    agreement, inside = forecast["interference"], forecast["inside"]["interference"]
    return Chart(
        key="foreseen",
        title="Predicted against measured",
        says=f"Interference in nats an answer token, predicted across and measured up: Pearson's r "
        f"{figure(agreement['pearson'], '.2f')}, Spearman's {figure(agreement['spearman'], '.2f')} "
        f"among {counted(len(rows), 'point')}; mean absolute error "
        f"{figure(agreement['mean_absolute_error'], '.3f')} of "
        f"{figure(agreement['mean_measured'], '.3f')} nats; {inside['inside']} of {inside['of']} "
        "lie in their predicted 95 % interval.",
        note="Test rows are another sample than calibration rows; the points share adapters and "
        "are not independent.",
        traces=[line("predicted = measured", ends, ends, line={"dash": "dot", "color": GREY}),
                *traces],
        layout={"xaxis": axis("predicted, nats"), "yaxis": axis("measured, nats")},
        table=foreseen_table(rows),
    )  # fmt: skip


def _tournament(correlations: Points, forecast: Mapping[str, Any] | None) -> Chart:
    """Each figure that the weights tell, by how it goes with dPPL; and the forecast beside them."""
    traces = []
    kinds = {"pairs": GROUPS[0], "all": ("sums of every size", ORANGE, "diamond")}
    for among, (name, colour, symbol) in kinds.items():
        group = [c for c in correlations if c["among"] == among and c["pearson"] is not None]
        if not group:
            continue
        xy = ([c["pearson"] for c in group], [label(figure_name(c)) for c in group])
        ends = [c["pearson_interval"] or (c["pearson"], c["pearson"]) for c in group]
        bars = {"type": "data", "symmetric": False, "color": colour, "thickness": 1.5, "width": 0,
                "array": [_or(e[1], c) - c["pearson"] for e, c in zip(ends, group, strict=True)],
                "arrayminus": [c["pearson"] - _or(e[0], c) for e, c in zip(ends, group,
                                                                          strict=True)],
                }  # fmt: skip
        says = [
            f"{figure_name(c)}, {name}: r {_r_text(c)[0]}{_r_text(c)[1]}, n {c['n']}" for c in group
        ]
        traces.append(dots(name, xy, says, colour=colour, symbol=symbol, error_x=bars))
    foreseen = [] if forecast is None else [row_of_forecast(forecast, correlations[0])]
    traces += [_dot_of_forecast(c) for c in foreseen if c["pearson"] is not None]
    every = [*correlations, *foreseen]
    figures = list(dict.fromkeys(label(figure_name(c)) for c in every))
    first = correlations[0]
    chance = figure(first["chance"], ".2f")
    return Chart(
        key="tournament",
        title="Which figure tells most",
        says="Pearson's r of each figure of the weights with dPPL, with its 95 % interval where "
        f"there are points enough. As many unrelated points reach a median |r| of {chance}.",
        note="The paper's predictor is the RMS cosine; the norm of the sum is a control that knows "
        "no angles. Sums of every size flatter each figure that grows with the size. "
        f"{_NOTE_OF_FORECAST if foreseen else ''}"
        f"{cautions(correlations, 'all', but=cautions(correlations, 'pairs'))}".rstrip(),
        traces=traces,
        layout={
            "xaxis": axis("Pearson's r with the outcome", range=[-1.08, 1.08], zeroline=True),
            "yaxis": {"automargin": True, "categoryorder": "array", "showgrid": False,
                      "categoryarray": figures[::-1]},
        },
        table=tournament_table(every),
    )  # fmt: skip


def _dot_of_forecast(c: Mapping[str, Any]) -> dict[str, Any]:
    says = (
        f"{figure_name(c)}, {AMONG[c['among']]}: r {figure(c['pearson'], '.2f')} (no interval: the "
        f"points share adapters and domains), n {c['n']}"
    )
    return dots("forecast, with interference", ([c["pearson"]], [label(figure_name(c))]), [says],
                colour=GREEN, symbol="square")  # fmt: skip


def _by_size(points: Points, key: str) -> tuple[Points, Points]:
    pairs = [p for p in points if len(p[key]) == 2]
    return pairs, [p for p in points if len(p[key]) > 2]


def _correlation(found: Points, name: str, among: str) -> Mapping[str, Any]:
    return next(c for c in found if c["figure"] == name and c["among"] == among)


def _r_text(c: Mapping[str, Any]) -> tuple[str, str]:
    """Pearson's r, and its interval in words where there is one."""
    interval = interval_text(c["pearson_interval"])
    said = f" (95 % interval {interval})" if interval else " (no interval: too few points)"
    return figure(c["pearson"], ".2f"), said


def _or(end: float | None, c: Mapping[str, Any]) -> float:
    return float(c["pearson"] if end is None else end)


def _point_says(p: Mapping[str, Any]) -> str:
    return (
        f"{' + '.join(p['domains'])}, seed {p['seed']}: RMS cosine {figure(p['rms_cosine'], '.4f')}"
        f", dPPL {figure(p['dppl_percent'], '+.1f')} %"
    )


def _row_says(p: Mapping[str, Any]) -> str:
    return (
        f"{' + '.join(p['subset'])} on {p['domain']}, seed {p['seed']}: predicted "
        f"{figure(p['predicted_interference'], '+.3f')}, measured "
        f"{figure(p['measured_interference'], '+.3f')} nats"
    )
