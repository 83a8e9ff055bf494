"""The paper's figure: RMS cosine against dPPL, predicted against measured, and the tournament."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from superpose.report.cautions import cautions
from superpose.report.charts import Area, Axis, Chart, Dot, Dots, Segment
from superpose.report.page import Section
from superpose.report.relation_tables import foreseen_table, points_table, tournament_table
from superpose.shown.words import counted, figure
from superpose.studies.summary import (
    Accuracy,
    FigureCorrelation,
    ForecastRow,
    ForecastSummary,
    SubsetPoint,
    Summary,
)
from superpose.studies.tables import FORECAST, figure_name

__all__ = ["relation_charts", "relation_section"]

R_TICKS = tuple((r, "" if r % 1 else figure(r, "g")) for r in (-1.0, -0.5, 0.0, 0.5, 1.0))
"""Lines of a correlation's axis; those at the halves have no figure."""

KINDS = {"pairs": ("pairs", "pairs", 0.12), "all": ("sums of every size", "larger", -0.12)}
"""What a correlation is among: a name, a style, and how far its dots lie above their row."""

_NOTE_OF_FORECAST = (
    "The forecast stands beside them by another outcome: the interference that it foretells, in "
    "nats for each domain of a naive sum, against what was measured. It has no interval, since its "
    "points share adapters and domains; and it was made from calibration rows, the others from "
    "weights alone. "
)


def relation_section(summary: Summary) -> Section:
    """Give the section with all three charts; the second only where there is a forecast."""
    charts = relation_charts(summary)
    data = {"tables": {chart.table.key: chart.table.data() for chart in charts}}
    return Section("figure", "What tells the outcome", {"charts": charts}, data)


def relation_charts(summary: Summary) -> list[Chart]:
    """Give all three charts; the second only where there is a forecast."""
    forecast = summary.forecast
    return [
        _paper(summary),
        *([] if forecast is None else [_foreseen(forecast)]),
        _tournament(summary.correlations, forecast.interference if forecast else None),
    ]


def _paper(summary: Summary) -> Chart:
    points = [p for p in summary.points if p.rms_cosine is not None]
    of_pairs = summary.correlation("rms_cosine", "pairs")
    lines, areas = _fit(points, of_pairs)
    seeds = counted(len({p.seed for p in points}), "seed")
    among = f" among {counted(of_pairs.n, 'point')} of pairs"
    corners = [corner for area in areas for corner in area.corners]
    return Chart(
        key="paper",
        title="RMS cosine against dPPL",
        says=f"RMS cosine of the deltas across, change of perplexity against merged data up: "
        f"Pearson's r {_r_among(of_pairs, among)}, {seeds}.",
        note=cautions(summary.correlations, "pairs"),
        x=Axis.over("RMS cosine", [_cosine(p) for p in points], zero=True),
        y=Axis.over(
            "dPPL in % against merged data",
            [*(p.dppl_percent for p in points), *(y for _, y in corners)],
        ),
        dots=_by_size((p.domains, _dot_of_point(p)) for p in points),
        table=points_table(points),
        lines=lines,
        areas=areas,
    )


def _fit(
    points: Sequence[SubsetPoint], of_pairs: FigureCorrelation
) -> tuple[tuple[Segment, ...], tuple[Area, ...]]:
    """The line through the pairs' points, and how far the interval of its slope turns it."""
    slope, start = of_pairs.slope, of_pairs.intercept
    pairs = [p for p in points if len(p.domains) == 2]
    if slope is None or start is None or not pairs:
        return (), ()
    held = [_cosine(p) for p in pairs]
    x = [min(held), max(held)]
    fit = Segment("fit to the pairs", "fit", *((at, start + slope * at) for at in x))
    if of_pairs.slope_interval is None:
        return (fit,), ()
    middle = sum(held) / len(held)
    height = sum(p.dppl_percent for p in pairs) / len(pairs)
    low, high = ([(at, height + s * (at - middle)) for at in x] for s in of_pairs.slope_interval)
    return (fit,), (Area("95 % interval of its slope", "slope", (*low, *reversed(high))),)


def _foreseen(forecast: ForecastSummary) -> Chart:
    """Interference of naive sums: what the calibration rows said, and what the test rows did."""
    rows, agreement = forecast.predictions, forecast.interference
    inside = forecast.inside.interference
    measured = [p.measured_interference for p in rows]
    both = [*(p.predicted_interference for p in rows), *measured]
    ends = min(0.0, *both), max(both)
    across = [end for p in rows for end in _ends_of(p)]
    return Chart(
        key="foreseen",
        title="Predicted against measured",
        says=f"Interference in nats an answer token, predicted across and measured up: Pearson's r "
        f"{figure(agreement.pearson, '.2f')}, Spearman's {figure(agreement.spearman, '.2f')} "
        f"among {counted(len(rows), 'point')}; mean absolute error "
        f"{figure(agreement.mean_absolute_error, '.3f')} of "
        f"{figure(agreement.mean_measured, '.3f')} nats; {inside.inside} of {inside.of} "
        "lie in their predicted 95 % interval.",
        note=f"Predicted from calibration rows: {forecast.told_from}. Test rows are another "
        "sample; the points share adapters and are not independent.",
        x=Axis.over("predicted, nats", [*ends, *across]),
        y=Axis.over("measured, nats", [*ends, *across]),
        dots=_by_size((p.subset, _dot_of_row(p)) for p in rows),
        table=foreseen_table(rows),
        lines=(Segment("predicted = measured", "equal", *((end, end) for end in ends)),),
        equal=True,
    )


def _tournament(correlations: Sequence[FigureCorrelation], forecast: Accuracy | None) -> Chart:
    """Each figure that the weights tell, by how it goes with dPPL; and the forecast beside them."""
    names = list(dict.fromkeys(figure_name(c.figure) for c in correlations))
    names += [figure_name(FORECAST)] if forecast else []
    dots = [_dots_of_figures([c for c in correlations if c.among == a], names, a) for a in KINDS]
    dots += [_dots_of_forecast(forecast)] if forecast else []
    chance = figure(correlations[0].chance, ".2f")
    return Chart(
        key="tournament",
        title="Which figure tells most",
        says="Pearson's r of each figure of the weights with dPPL, with its 95 % interval where "
        f"there are points enough. As many unrelated points reach a median |r| of {chance}.",
        note="The paper's predictor is the RMS cosine; the norm of the sum is a control that knows "
        "no angles. Sums of every size flatter each figure that grows with the size. "
        f"{_NOTE_OF_FORECAST if forecast else ''}"
        f"{cautions(correlations, 'all', but=cautions(correlations, 'pairs'))}".rstrip(),
        x=Axis("Pearson's r with the outcome", -1.08, 1.08, R_TICKS),
        y=Axis.of_names(names),
        dots=tuple(one for one in dots if one.dots),
        table=tournament_table(correlations, forecast),
    )


def _dots_of_figures(group: Sequence[FigureCorrelation], names: Sequence[str], among: str) -> Dots:
    """The figures' r among one kind of sums. names: of the figures, from the top down."""
    name, kind, above = KINDS[among]
    dots = tuple(
        Dot(
            c.pearson,
            len(names) - 1 - names.index(figure_name(c.figure)) + above,
            f"{figure_name(c.figure)}, {name}: r {_r_among(c)}, n {c.n}",
            c.pearson_interval,
        )
        for c in group
        if c.pearson is not None
    )
    return Dots(name, kind, dots)


def _dots_of_forecast(found: Accuracy) -> Dots:
    """The forecast's r, in the lowest row."""
    says = (
        f"{figure_name(FORECAST)}, domains of every sum: r {figure(found.pearson, '.2f')} (no "
        f"interval: the points share adapters and domains), n {found.n}"
    )
    dots = () if found.pearson is None else (Dot(found.pearson, 0, says),)
    return Dots("forecast, with interference", "forecast", dots)


def _by_size(dots: Iterable[tuple[tuple[str, ...], Dot]]) -> tuple[Dots, ...]:
    """Dots of pairs and of larger sums, where there are any. dots: each with its sum's domains."""
    held = list(dots)
    pairs = Dots("pairs", "pairs", tuple(dot for names, dot in held if len(names) == 2))
    larger = Dots("larger sums", "larger", tuple(dot for names, dot in held if len(names) > 2))
    return tuple(kind for kind in (pairs, larger) if kind.dots)


def _r_among(c: FigureCorrelation, among: str = "") -> str:
    """Pearson's r, what it is among, and its interval in words where there is one."""
    ends = c.pearson_interval
    interval = ends and f"{figure(ends[0], ',.2f')} to {figure(ends[1], ',.2f')}"
    said = f"95 % interval {interval}" if interval else "no interval: too few points"
    return f"{figure(c.pearson, '.2f')}{among} ({said})"


def _dot_of_point(p: SubsetPoint) -> Dot:
    says = (
        f"{' + '.join(p.domains)}, seed {p.seed}: RMS cosine {figure(p.rms_cosine, '.4f')}"
        f", dPPL {figure(p.dppl_percent, '+.1f')} %"
    )
    return Dot(_cosine(p), p.dppl_percent, says)


def _cosine(p: SubsetPoint) -> float:
    assert p.rms_cosine is not None  # points without one are left out
    return p.rms_cosine


def _ends_of(p: ForecastRow) -> tuple[float, float]:
    return p.predicted_interference_low, p.predicted_interference_high


def _dot_of_row(p: ForecastRow) -> Dot:
    says = (
        f"{' + '.join(p.subset)} on {p.domain}, seed {p.seed}: predicted "
        f"{figure(p.predicted_interference, '+.3f')}, measured "
        f"{figure(p.measured_interference, '+.3f')} nats"
    )
    return Dot(p.predicted_interference, p.measured_interference, says, _ends_of(p))
