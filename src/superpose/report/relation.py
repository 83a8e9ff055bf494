"""The paper's figure: RMS cosine against dPPL, predicted against measured, and the tournament."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from superpose.report.cautions import cautions
from superpose.report.charts import Area, Axis, Chart, Dot, Dots, Line
from superpose.report.page import Section
from superpose.report.relation_tables import (
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

R_TICKS = tuple((r, figure(r, "g")) for r in (-1.0, -0.5, 0.0, 0.5, 1.0))

KINDS = {
    "pairs": ("pairs", "pairs", 0.12),
    "all": ("sums of every size", "larger", -0.12),
    "domains": ("forecast, with interference", "forecast", 0.0),
}
"""What a correlation is among: a name, a style, and how far its dots lie above their row."""

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
    data = {"tables": {chart.table.key: chart.table.data() for chart in charts}}
    return Section("figure", "What tells the outcome", {"charts": charts}, data)


def _paper(summary: Mapping[str, Any]) -> Chart:
    points: Points = [p for p in summary["points"] if p["rms_cosine"] is not None]
    of_pairs = _correlation(summary["correlations"], "rms_cosine", "pairs")
    lines, areas = _fit(points, of_pairs)
    r, interval = _r_text(of_pairs)
    seeds = counted(len({p["seed"] for p in points}), "seed")
    corners = [corner for area in areas for corner in area.corners]
    return Chart(
        key="paper",
        title="RMS cosine against dPPL",
        says=f"RMS cosine of the deltas across, change of perplexity against merged data up: "
        f"Pearson's r {r} among {counted(int(of_pairs['n']), 'point')} of pairs{interval}, "
        f"{seeds}.",
        note=cautions(summary["correlations"], "pairs"),
        x=Axis.over("RMS cosine", [p["rms_cosine"] for p in points], zero=True),
        y=Axis.over(
            "dPPL in % against merged data",
            [*(p["dppl_percent"] for p in points), *(y for _, y in corners)],
        ),
        dots=_by_size(points, "domains", _dot_of_point),
        table=points_table(points),
        lines=lines,
        areas=areas,
    )


def _fit(points: Points, of_pairs: Mapping[str, Any]) -> tuple[tuple[Line, ...], tuple[Area, ...]]:
    """The line through the pairs' points, and how far the interval of its slope turns it."""
    slope, start = of_pairs["slope"], of_pairs["intercept"]
    pairs = [p for p in points if len(p["domains"]) == 2]
    if slope is None or start is None or not pairs:
        return (), ()
    x = [min(p["rms_cosine"] for p in pairs), max(p["rms_cosine"] for p in pairs)]
    fit = Line("fit to the pairs", "fit", *((at, start + slope * at) for at in x))
    low, high = of_pairs["slope_interval"] or (None, None)
    if low is None or high is None:
        return (fit,), ()
    middle = sum(p["rms_cosine"] for p in pairs) / len(pairs)
    height = sum(p["dppl_percent"] for p in pairs) / len(pairs)
    turned = [[(at, height + s * (at - middle)) for at in x] for s in (low, high)]
    area = Area("95 % interval of its slope", "slope", (*turned[0], *reversed(turned[1])))
    return (fit,), (area,)


def _foreseen(rows: Points, forecast: Mapping[str, Any]) -> Chart:
    """Interference of naive sums: what the calibration rows said, and what the test rows did."""
    kinds = ("predicted_interference", "interference_low", "interference_high")
    measured = [p["measured_interference"] for p in rows]
    both = [*(p[kinds[0]] for p in rows), *measured]
    ends = min(0.0, *both), max(both)
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
        x=Axis.over("predicted, nats", [*ends, *(p[kind] for p in rows for kind in kinds)]),
        y=Axis.over("measured, nats", [*ends, *measured]),
        dots=_by_size(rows, "subset", _dot_of_row),
        table=foreseen_table(rows),
        lines=(Line("predicted = measured", "equal", *((end, end) for end in ends)),),
    )


def _tournament(correlations: Points, forecast: Mapping[str, Any] | None) -> Chart:
    """Each figure that the weights tell, by how it goes with dPPL; and the forecast beside them."""
    foreseen = [] if forecast is None else [row_of_forecast(forecast, correlations[0])]
    every = [*correlations, *foreseen]
    names = list(dict.fromkeys(figure_name(c) for c in every))
    among = dict.fromkeys(c["among"] for c in every)
    dots = [_dots_of_figures([c for c in every if c["among"] == a], names) for a in among]
    chance = figure(correlations[0]["chance"], ".2f")
    return Chart(
        key="tournament",
        title="Which figure tells most",
        says="Pearson's r of each figure of the weights with dPPL, with its 95 % interval where "
        f"there are points enough. As many unrelated points reach a median |r| of {chance}.",
        note="The paper's predictor is the RMS cosine; the norm of the sum is a control that knows "
        "no angles. Sums of every size flatter each figure that grows with the size. "
        f"{_NOTE_OF_FORECAST if foreseen else ''}"
        f"{cautions(correlations, 'all', but=cautions(correlations, 'pairs'))}".rstrip(),
        x=Axis("Pearson's r with the outcome", -1.08, 1.08, R_TICKS),
        y=Axis.of_names(names),
        dots=tuple(one for one in dots if one.dots),
        table=tournament_table(every),
    )


def _dots_of_figures(group: Points, names: Sequence[str]) -> Dots:
    """The figures' r among one kind of sums. names: of the figures, from the top down."""
    name, kind, beside = KINDS[group[0]["among"]]
    dots = tuple(
        Dot(
            c["pearson"],
            len(names) - 1 - names.index(figure_name(c)) + beside,
            f"{figure_name(c)}, {name}: r {''.join(_r_text(c))}, n {c['n']}",
            _ends(c),
        )
        for c in group
        if c["pearson"] is not None
    )
    return Dots(name, kind, dots)


def _by_size(points: Points, key: str, dot: Callable[[Mapping[str, Any]], Dot]) -> tuple[Dots, ...]:
    """The points of pairs, and of larger sums, where there are any. key: of their domains."""
    kinds = (
        Dots("pairs", "pairs", tuple(dot(p) for p in points if len(p[key]) == 2)),
        Dots("larger sums", "larger", tuple(dot(p) for p in points if len(p[key]) > 2)),
    )
    return tuple(kind for kind in kinds if kind.dots)


def _correlation(found: Points, name: str, among: str) -> Mapping[str, Any]:
    return next(c for c in found if c["figure"] == name and c["among"] == among)


def _r_text(c: Mapping[str, Any]) -> tuple[str, str]:
    """Pearson's r, and its interval in words where there is one."""
    interval = interval_text(c["pearson_interval"])
    why = "the points share adapters and domains" if c["among"] == "domains" else "too few points"
    said = f" (95 % interval {interval})" if interval else f" (no interval: {why})"
    return figure(c["pearson"], ".2f"), said


def _ends(c: Mapping[str, Any]) -> tuple[float, float] | None:
    low, high = c["pearson_interval"] or (None, None)
    if low is None and high is None:
        return None
    return (c["pearson"] if low is None else low), (c["pearson"] if high is None else high)


def _dot_of_point(p: Mapping[str, Any]) -> Dot:
    says = (
        f"{' + '.join(p['domains'])}, seed {p['seed']}: RMS cosine {figure(p['rms_cosine'], '.4f')}"
        f", dPPL {figure(p['dppl_percent'], '+.1f')} %"
    )
    return Dot(p["rms_cosine"], p["dppl_percent"], says)


def _dot_of_row(p: Mapping[str, Any]) -> Dot:
    says = (
        f"{' + '.join(p['subset'])} on {p['domain']}, seed {p['seed']}: predicted "
        f"{figure(p['predicted_interference'], '+.3f')}, measured "
        f"{figure(p['measured_interference'], '+.3f')} nats"
    )
    ends = p["interference_low"], p["interference_high"]
    return Dot(p["predicted_interference"], p["measured_interference"], says, ends)
