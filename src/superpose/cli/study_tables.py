"""A study's end for the terminal: predicted beside measured, one method beside another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from superpose.adapter import formula
from superpose.cli.tables import correlation_table, plain_table, study_table
from superpose.studies.cells import TITLES, UNION
from superpose.studies.summary import Change, ForecastSummary, MethodRow, SeedAdvice, Summary
from superpose.studies.verdict import measured_verdict

__all__ = ["forecast_table", "methods_table", "print_forecast_of_study", "print_study"]


def print_study(console: Any, summary: Summary) -> None:
    """Print what a study found: its sums, its forecast, its correlations, and what to know."""
    console.print(study_table(summary))
    print_forecast_of_study(console, summary)
    console.print(correlation_table(summary))
    for remark in summary.remarks:
        console.print(remark, markup=False)


def print_forecast_of_study(console: Any, summary: Summary) -> None:
    """Print the methods side by side, what a forecast said before, and the measured verdict."""
    console.print(methods_table(summary))
    if summary.forecast is not None:
        _print_forecast(console, summary.forecast, summary.seeds)
    what, why = measured_verdict(summary).advice
    verdict = (f"Measured, {what[0].lower()}{what[1:]}", "bold")
    console.print(Text.assemble(verdict, f" {why}\n"), soft_wrap=True)


def _print_forecast(console: Any, found: ForecastSummary, seeds: Sequence[int]) -> None:
    console.print(forecast_table(found, seeds))
    console.print(Text(_agreement(found)), soft_wrap=True)
    for advice in found.advice:
        seed = f" (seed {advice.seed})" if len(found.advice) > 1 else ""
        verdict = (f"Forecast{seed}: {advice.verdict}.", "bold")
        console.print(Text.assemble(verdict, f" {_because(advice)}"), soft_wrap=True)


def methods_table(summary: Summary) -> Group:
    """Subsets and domains down, methods across: perplexity, and its change in per cent."""
    rows = summary.methods
    methods = list(dict.fromkeys(row.method for row in rows))
    table = plain_table()
    for column in ("subset", "measured on"):
        table.add_column(column, no_wrap=True)
    for method in methods:
        table.add_column(TITLES[method].replace(", ", ",\n"), justify="right")
    for start in range(0, len(rows), len(methods)):
        group = rows[start : start + len(methods)]
        names, domain = group[0].subset, group[0].domain
        table.add_row(
            Text(" + ".join(names) if domain == names[0] else ""),
            Text(domain),
            *(_figures(row) for row in group),
            end_section=domain == UNION,
        )
    return _titled(
        "Perplexity of one adapter for several domains; below it the change in % against merged "
        "data, and against each domain's own adapter",
        table,
    )


def forecast_table(found: ForecastSummary, seeds: Sequence[int]) -> Group:
    """Subsets and domains down: perplexity and interference of the sum, predicted and measured."""
    table = plain_table()
    for column in ("subset", "domain", *(["seed"] if len(seeds) > 1 else [])):
        table.add_column(column, no_wrap=True)
    for column in ("nats\npredicted", "\nmeasured", "interference\npredicted", "\nmeasured"):
        table.add_column(column, justify="right")
    last = None
    for row in sorted(found.rows, key=lambda r: (len(r.subset), r.subset)):
        name = " + ".join(row.subset)
        table.add_row(
            Text("" if name == last else name),
            Text(row.domain),
            *([str(row.seed)] if len(seeds) > 1 else []),
            f"{row.predicted_nll:.3f} ({row.low:.3f} to {row.high:.3f})",
            f"{row.measured_nll:.3f}",
            f"{row.predicted_interference:+.3f} ({row.interference_low:+.3f} to "
            f"{row.interference_high:+.3f})",
            f"{row.measured_interference:+.3f}",
        )
        last = name
    cost = found.calibration
    return _titled(
        f"The naive sum, predicted from {cost.rows} calibration rows in {cost.seconds:.0f} s "
        "(95 % interval) and measured on the test rows: nats an answer token, and how much more "
        "than under the domain's own adapter",
        table,
    )


def _agreement(found: ForecastSummary) -> str:
    figures, inside = found.interference, found.inside
    r = "none" if figures.pearson is None else f"{figures.pearson:.2f}"
    rank = "none" if figures.spearman is None else f"{figures.spearman:.2f}"
    return (
        f"Interference predicted against measured, {figures.n} points: Pearson {r}, Spearman "
        f"{rank}, mean absolute error {figures.mean_absolute_error:.3f} of "
        f"{figures.mean_measured:.3f} nats. Inside the interval: {inside.nll.inside} of "
        f"{inside.nll.of} losses, {inside.interference.inside} of "
        f"{inside.interference.of} interferences (test rows are another sample).\n"
    )


def _because(advice: SeedAdvice) -> str:
    reason = advice.reason
    weights = formula({name: round(weight, 3) for name, weight in advice.weights.items()})
    return f"{reason[0].upper()}{reason[1:]}. Best for the worst-off domain: {weights}"


def _figures(row: MethodRow) -> Text:
    changes = "  ".join(_change(other) for other in (row.dppl_merged, row.dppl_single))
    return Text(f"{row.perplexity.mean:.2f}\n{changes}")


def _change(figure: Change) -> str:
    spread: Sequence[str] = () if figure.spread is None else (f"±{figure.spread:.1f}",)
    return "".join((f"{figure.mean:+.1f}", *spread))


def _titled(title: str, table: Any) -> Group:
    return Group(Text(title, style="bold"), table)
