"""A forecast for the terminal: the verdict first, then every sum, then who disturbs whom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from superpose.adapter import formula
from superpose.cli.tables import plain_table

if TYPE_CHECKING:
    from superpose.landscape.advice import Advice
    from superpose.landscape.forecast import Forecast, Predicted

__all__ = ["predicted_table", "print_forecast"]

MOST = 64
"""Weightings that a terminal shows; --json has them all."""


def print_forecast(
    console: Any, found: Forecast, advice: Advice, measured: Sequence[Mapping[str, Any]]
) -> None:
    """Print verdict, predictions (beside what was measured) and disturbances."""
    weights = formula(advice.weights)
    console.print(Text(f"{advice.verdict}.", style="bold"), Text(f"{advice.reason}.\n"), end="")
    console.print(Text(f"Best weights for the worst-off domain: {weights}\n"))
    rows = found.every_subset()
    shown = rows[: MOST * len(found.domains)]
    console.print(predicted_table(shown, found.domains, measured))
    if len(shown) < len(rows):
        console.print(f"The first {MOST} of {len(rows) // len(found.domains)}: --json has all.")
    if len(found.names) > 1:
        console.print(_disturbance_table(found))


def predicted_table(
    rows: Sequence[Predicted], domains: Sequence[str], measured: Sequence[Mapping[str, Any]] = ()
) -> Table:
    """Weightings down, domains across: predicted perplexity with its interval, and measured."""
    table = plain_table()
    table.title = "Predicted perplexity of the answers (95 % interval)"
    table.add_column("task weights")
    for domain in domains:
        table.add_column(Text(domain), justify="right")
    seen = {(tuple(m["weights"].values()), m["domain"]): m["nll"] for m in measured}
    for start in range(0, len(rows), len(domains)):
        group = rows[start : start + len(domains)]
        cells = [_cell(row, seen.get((tuple(row.weights.values()), row.domain))) for row in group]
        table.add_row(Text(formula(group[0].weights)), *cells)
    return table


def _cell(row: Predicted, measured: float | None) -> str:
    low, high = (_perplexity(nll) for nll in (row.low, row.high))
    text = f"{_perplexity(row.predicted_nll)} ({low} to {high})"
    return text if measured is None else f"{text}\nmeasured {_perplexity(measured)}"


def _disturbance_table(found: Forecast) -> Table:
    table = plain_table()
    table.title = "Who disturbs whom: % of perplexity that a domain loses, most through"
    for title in ("domain", "adapter", "loses", "through"):
        table.add_column(title, justify="right" if title == "loses" else "left")
    for disturbance in found.disturbances():
        kinds = list(disturbance.kinds().items())[:3]
        table.add_row(
            Text(disturbance.domain),
            Text(disturbance.adapter),
            f"{_percent(disturbance.nll)} ({_percent(disturbance.low)} to "
            f"{_percent(disturbance.high)})",
            Text(", ".join(f"{kind} {_percent(nll)}" for kind, nll in kinds)),
        )
    return table


def _perplexity(nll: float) -> str:
    return f"{math.exp(nll):.3g}" if nll < 700 else "inf"


def _percent(nll: float) -> str:
    return f"{100 * math.expm1(min(nll, 700)):+.1f}"
