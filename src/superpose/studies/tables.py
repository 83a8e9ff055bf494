"""What a study found, as tables: sums and methods, predicted beside measured, correlations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from operator import attrgetter
from typing import Any

from superpose.adapter import formula
from superpose.shown import Cell, Column, Line, Part, Table, field_of, four_digits, written
from superpose.shown.words import counted
from superpose.studies.accuracy_table import accuracies_table, matches_table
from superpose.studies.against_sum import against_sum_table
from superpose.studies.cells import TITLES
from superpose.studies.screenful import screenful
from superpose.studies.summary import ForecastSummary, SeedAdvice, Spread, SpreadChange, Summary
from superpose.studies.verdict import measured_verdict

__all__ = [
    "CORRELATIONS",
    "FORECAST",
    "FORESEEN",
    "LEAST_POINTS",
    "POINTS",
    "adapters_table",
    "forecast_parts",
    "study_parts",
]

FORECAST = "forecast_of_interference"

_FIGURES = {"rms_cosine": "RMS cosine", FORECAST: "forecast (of interference)"}

LEAST_POINTS = 10
"""Points from which a correlation stands in a table of results."""

_AMONG = {"pairs": "pairs", "all": "sums of every size", "domains": "domains of every sum"}
"""What the points of a correlation are, in words."""


def study_parts(summary: Summary) -> tuple[Part, ...]:
    """Give what a study found: verdict, sums, methods, forecast, correlations, what to know."""
    return (
        *measured_verdict(summary).shown(),
        _sums_table(summary),
        *([accuracies_table(summary, short=True)] if summary.accuracies else ()),
        *([matches_table(summary, short=True)] if summary.matches else ()),
        *forecast_parts(summary),
        _correlations(summary),
        *map(Line, summary.remarks),
    )


def forecast_parts(summary: Summary) -> Iterator[Part]:
    """Give the methods side by side, and what a forecast said before."""
    yield _methods_table(summary)
    if summary.against_sum:
        yield against_sum_table(summary, whole=False)
    if (found := summary.forecast) is not None:
        yield _forecast_table(found, summary)
        yield Line(_agreement(found))
        for advice in found.advice:
            seed = f" (seed {advice.seed})" if len(found.advice) > 1 else ""
            yield Line(_because(advice), f"Forecast{seed}: {advice.verdict}.")


def _correlations(summary: Summary) -> Part:
    """Give the relations that rest on enough points to be told; the summary has them all."""
    told = [row for row in summary.correlations if row.n >= LEAST_POINTS]
    fewer = len(summary.correlations) - len(told)
    remark = (
        f"Left out: {counted(fewer, 'relation')} of fewer than {LEAST_POINTS} points: of so few "
        "chance alone makes large ones; summary.json has them."
    )
    title = "What the weights tell, against the change of perplexity on the union"
    if not told:
        return Line(remark, f"{title}:")
    return Table.of(title, CORRELATIONS, told, remark if fewer else "")


def adapters_table(summary: Summary) -> Table:
    """Base and single adapters down, domains across: the mean perplexity."""
    columns = (
        Column("model", lambda row: row[0] if row[0] == "base" else f"{row[0]} adapter"),
        *(Column(domain, partial(_on, domain), four_digits) for domain in summary.domains),
    )
    title = "Perplexity of base and single adapters on each domain"
    return Table.of(title, columns, summary.own_adapters.items())


def _on(domain: str, row: tuple[str, Mapping[str, Spread]]) -> float:
    return row[1][domain].mean


def _sums_table(summary: Summary) -> Table:
    """Each subset's sum against merged data, base and singles, as the paper has it."""
    kinds = {"base": "base", "own": "single", "sum": "sum", "merged": "merged"}
    of = {id(row): subset.domains for subset in summary.subsets for row in subset.measured}
    every = [row for subset in summary.subsets for row in subset.measured]
    records, fewer = screenful(every, lambda row: (of[id(row)], row.domain), summary.whole)
    first = {of[id(row)]: id(row) for row in reversed(records)}
    columns = (
        Column("subset", lambda row: of[id(row)] if id(row) in first.values() else ""),
        Column("measured on", "domain"),
        *(Column(f"PPL {title}", attrgetter(f"{kind}.mean"), four_digits)
          for title, kind in kinds.items()),
        *(Column(f"% vs {title}", f"dppl_{kind}", _between if kind == "merged" else _change)
          for title, kind in kinds.items() if kind != "sum"),
        Column("% gain kept", partial(_gain_kept, summary, of), form=".0f"),
    )  # fmt: skip
    seeds = len(summary.seeds)
    title = (
        "Perplexity (PPL) of the naive sum, and its change in % against merged-data fine-tuning, "
        f"the base, and each domain's own adapter, of whose gain it keeps so "
        f"much ({counted(seeds, 'seed')})"
    )
    if seeds > 1:
        title += "; ± over seeds, in brackets a 95 % interval over seeds and test questions"
    return Table.of(title, columns, records, fewer)


def _gain_kept(summary: Summary, of: Mapping[int, tuple[str, ...]], row: Any) -> float | None:
    """Give the share of its own adapter's gain that a domain keeps under the sum, in per cent."""
    method = summary.methods_on(of[id(row)], row.domain).get("sum")
    kept = None if method is None or method.kept is None else method.kept.share
    return None if kept is None else 100 * kept


def _methods_table(summary: Summary) -> Table:
    """Subsets and domains down, methods across: perplexity, and its change in per cent."""
    methods = list(dict.fromkeys(row.method for row in summary.methods))
    columns = (
        Column("subset"),
        Column("measured on"),
        *(Column(TITLES[method], form="") for method in methods),
    )
    starts = range(0, len(summary.methods), len(methods) or 1)
    every = [summary.methods[start : start + len(methods)] for start in starts]
    groups, fewer = screenful(every, lambda of: (of[0].subset, of[0].domain), summary.whole)
    rows = []
    before: tuple[str, ...] = ()
    for group in groups:
        names, domain = group[0].subset, group[0].domain
        figures = (
            Cell(
                four_digits(row.perplexity.mean),
                f"{_change(row.dppl_merged)}, {_change(row.dppl_single)}",
            )
            for row in group
        )
        of_which = Cell("") if names == before else Cell.sum_of(names)
        before = names
        rows.append((of_which, Cell(domain), *figures))
    title = (
        "Perplexity of one adapter for several domains; in brackets the change in % against merged "
        "data, and against each domain's own adapter"
    )
    return Table(title, columns, tuple(rows), fewer)


def _forecast_table(found: ForecastSummary, summary: Summary) -> Table:
    """Subsets and domains down: perplexity and interference of the sum, predicted and measured."""
    cost = found.calibration
    title = (
        f"The naive sum, predicted from {cost.rows} calibration rows in {cost.seconds:.0f} s "
        f"(95 % interval; {found.told_from}) and measured on the test rows: nats an answer token, "
        "and how much more than under the domain's own adapter"
    )
    every = sorted(found.predictions, key=lambda row: (len(row.subset), row.subset))
    rows, fewer = screenful(every, lambda row: (row.subset, row.domain), summary.whole)
    heads = FORESEEN[:3] if len(summary.seeds) > 1 else FORESEEN[:2]
    return Table.of(title, (*heads, *_NATS, *_INTERFERENCE), rows, fewer)


def _agreement(found: ForecastSummary) -> str:
    figures, inside = found.interference, found.inside
    r, rank = (written(value, ".2f") for value in (figures.pearson, figures.spearman))
    return (
        f"Interference predicted against measured, {figures.n} points: Pearson {r}, Spearman "
        f"{rank}, mean absolute error {figures.mean_absolute_error:.3f} of "
        f"{figures.mean_measured:.3f} nats. Inside the interval: {inside.nll.inside} of "
        f"{inside.nll.of} losses, {inside.interference.inside} of "
        f"{inside.interference.of} interferences (test rows are another sample)."
    )


def _because(advice: SeedAdvice) -> str:
    weights = formula({name: round(weight, 3) for name, weight in advice.weights.items()})
    reason = f"{advice.reason[0].upper()}{advice.reason[1:]}"
    return f"{reason.rstrip('.')}. Best for the worst-off domain: {weights}"


def _change(figure: SpreadChange) -> str:
    """Write `+1.2`, with the standard deviation over seeds where there are several."""
    spread = "" if figure.spread is None else f" ±{figure.spread:.1f}"
    return written(figure.mean, "+.1f") + spread


def _between(figure: SpreadChange) -> str:
    """Write `+1.2 [-0.3, +2.7]` where there are several seeds, and as `_change` for one."""
    if figure.spread is None or figure.ends is None:
        return _change(figure)
    mean, low, high = (written(value, "+.1f") for value in (figure.mean, *figure.ends))
    return f"{mean} [{low}, {high}]"


def _sum(field: str) -> Column:
    return Column("sum", lambda row: tuple(getattr(row, field)))


_SEED = Column("seed", "seed", "d")
_NATS = (
    Column("nats predicted", "predicted_nll", ".3f", ("predicted_nll_low", "predicted_nll_high")),
    Column("measured", "measured_nll", ".3f"),
)
_INTERFERENCE = (
    Column("interference predicted", "predicted_interference", "+.3f",
           ("predicted_interference_low", "predicted_interference_high"), "nats, 95 % interval"),
    Column("measured", "measured_interference", "+.3f", note="nats"),
)  # fmt: skip

FORESEEN = (_sum("subset"), Column("domain", "domain"), _SEED, *_INTERFERENCE)
"""Predicted and measured interference of a naive sum on a domain."""

POINTS = (
    _sum("domains"),
    _SEED,
    Column("RMS cosine", "rms_cosine", ".5f"),
    Column("dPPL %", "dppl_percent", "+.2f", note="against merged data"),
    Column("interference", "interference", "+.3f", note="nats"),
)
"""What the weights tell of a subset at a seed, and what its naive sum did."""

CORRELATIONS = (
    Column("figure", lambda row: figure_name(field_of(row, "figure"))),
    Column("among", lambda row: _AMONG[field_of(row, "among")]),
    Column("points", "n", "d"),
    *(Column(name, name.lower(), ",.2f", (f"{name.lower()}_interval",), "95 % interval")
      for name in ("Pearson", "Spearman")),
    Column("slope", "slope", ",.2f", ("slope_interval",), "95 % interval"),
)  # fmt: skip
"""A figure's correlations with the change of perplexity."""


def figure_name(figure: str) -> str:
    """Give what people call a figure of a correlation."""
    return _FIGURES.get(figure, figure.replace("_", " "))
