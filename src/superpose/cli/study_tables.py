"""A study's end for the terminal: predicted beside measured, one method beside another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from superpose.adapter import formula
from superpose.cli.tables import correlation_table, plain_table, study_table

__all__ = ["METHODS", "forecast_table", "methods_table", "print_forecast_of_study", "print_study"]

METHODS = {
    "sum": "naive",
    "average": "average",
    "tuned": "tuned",
    "merged": "merged data",
    "merged_steps": "equal steps",
    "merged_rank": "rank K·r",
}
"""A study's methods in the words of its tables."""


def print_study(console: Any, summary: Mapping[str, Any]) -> None:
    """Print what a study found: its sums, its forecast, its correlations, and what to know."""
    console.print(study_table(summary))
    print_forecast_of_study(console, summary)
    console.print(correlation_table(summary))
    for remark in summary["remarks"]:
        console.print(remark, markup=False)


def print_forecast_of_study(console: Any, summary: Mapping[str, Any]) -> None:
    """Print the methods side by side, what a forecast said before, and the measured verdict."""
    from superpose.report.verdict_of_study import measured_advice

    console.print(methods_table(summary))
    found = summary["forecast"]
    if found is not None:
        _print_forecast(console, summary)
    what, why = measured_advice(summary)
    verdict = (f"Measured, {what[0].lower()}{what[1:]}", "bold")
    console.print(Text.assemble(verdict, f" {why}\n"), soft_wrap=True)


def _print_forecast(console: Any, summary: Mapping[str, Any]) -> None:
    found = summary["forecast"]
    console.print(forecast_table(summary))
    console.print(Text(_agreement(found)), soft_wrap=True)
    for advice in found["advice"]:
        seed = f" (seed {advice['seed']})" if len(found["advice"]) > 1 else ""
        verdict = (f"Forecast{seed}: {advice['verdict']}.", "bold")
        console.print(Text.assemble(verdict, f" {_because(advice)}"), soft_wrap=True)


def methods_table(summary: Mapping[str, Any]) -> Group:
    """Subsets and domains down, methods across: perplexity, and its change in per cent."""
    rows = summary["methods"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    table = plain_table()
    for column in ("subset", "measured on"):
        table.add_column(column, no_wrap=True)
    for method in methods:
        table.add_column(METHODS[method], justify="right")
    for start in range(0, len(rows), len(methods)):
        group = rows[start : start + len(methods)]
        names, domain = group[0]["subset"], group[0]["domain"]
        table.add_row(
            Text(" + ".join(names) if domain == names[0] else ""),
            Text(domain),
            *(_figures(row) for row in group),
            end_section=domain == "union",
        )
    return _titled(
        "Perplexity of one adapter for several domains; below it the change in % against merged "
        "data, and against each domain's own adapter",
        table,
    )


def forecast_table(summary: Mapping[str, Any]) -> Group:
    """Subsets and domains down: perplexity and interference of the sum, predicted and measured."""
    found = summary["forecast"]
    seeds = summary["seeds"]
    table = plain_table()
    for column in ("subset", "domain", *(["seed"] if len(seeds) > 1 else [])):
        table.add_column(column, no_wrap=True)
    for column in ("nats\npredicted", "\nmeasured", "interference\npredicted", "\nmeasured"):
        table.add_column(column, justify="right")
    last = None
    for row in sorted(found["rows"], key=lambda r: (len(r["subset"]), r["subset"])):
        name = " + ".join(row["subset"])
        table.add_row(
            Text("" if name == last else name),
            Text(row["domain"]),
            *([str(row["seed"])] if len(seeds) > 1 else []),
            f"{row['predicted_nll']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
            f"{row['measured_nll']:.3f}",
            f"{row['predicted_interference']:+.3f} ({row['interference_low']:+.3f} to "
            f"{row['interference_high']:+.3f})",
            f"{row['measured_interference']:+.3f}",
        )
        last = name
    cost = found["calibration"]
    return _titled(
        f"The naive sum, predicted from {cost['rows']} calibration rows in {cost['seconds']:.0f} s "
        "(95 % interval) and measured on the test rows: nats an answer token, and how much more "
        "than under the domain's own adapter",
        table,
    )


def _agreement(found: Mapping[str, Any]) -> str:
    figures, inside = found["interference"], found["inside"]
    r = "none" if figures["pearson"] is None else f"{figures['pearson']:.2f}"
    rank = "none" if figures["spearman"] is None else f"{figures['spearman']:.2f}"
    return (
        f"Interference predicted against measured, {figures['n']} points: Pearson {r}, Spearman "
        f"{rank}, mean absolute error {figures['mean_absolute_error']:.3f} of "
        f"{figures['mean_measured']:.3f} nats. Inside the interval: {inside['nll']['inside']} of "
        f"{inside['nll']['of']} losses, {inside['interference']['inside']} of "
        f"{inside['interference']['of']} interferences (test rows are another sample).\n"
    )


def _because(advice: Mapping[str, Any]) -> str:
    reason = str(advice["reason"])
    weights = formula({name: round(weight, 3) for name, weight in advice["weights"].items()})
    return f"{reason[0].upper()}{reason[1:]}. Best for the worst-off domain: {weights}"


def _figures(row: Mapping[str, Any]) -> Text:
    changes = "  ".join(_change(row[f"dppl_{other}"]) for other in ("merged", "single"))
    return Text(f"{row['perplexity']['mean']:.2f}\n{changes}")


def _change(figure: Mapping[str, Any]) -> str:
    spread: Sequence[str] = () if figure["spread"] is None else (f"±{figure['spread']:.1f}",)
    return "".join((f"{figure['mean']:+.1f}", *spread))


def _titled(title: str, table: Any) -> Group:
    return Group(Text(title, style="bold"), table)
