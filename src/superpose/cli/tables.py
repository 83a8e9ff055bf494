"""Tables of perplexities and answers for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from superpose.measure.answer import Answer
    from superpose.studies.summary import Change, Summary

__all__ = [
    "correlation_table",
    "own_adapters_table",
    "plain_table",
    "samples_table",
    "study_table",
]


def study_table(summary: Summary) -> Group:
    """The paper's table: each subset's sum against merged data, base and singles."""
    table = plain_table()
    for column in ("subset", "measured on"):
        table.add_column(column, no_wrap=True)
    for column in ("base", "own", "sum", "merged"):
        table.add_column(f"PPL\n{column}", justify="right")
    for column in ("merged", "base", "own"):
        table.add_column(f"% vs\n{column}", justify="right")
    for subset in summary.subsets:
        for index, row in enumerate(subset.rows):
            table.add_row(
                Text(" + ".join(subset.domains) if index == 0 else ""),
                Text(row.domain),
                *(f"{found.mean:.2f}" for found in (row.base, row.single, row.sum, row.merged)),
                *map(_change, (row.dppl_merged, row.dppl_base, row.dppl_single)),
                end_section=index == len(subset.rows) - 1,
            )
    seeds = len(summary.seeds)
    return _titled(
        "Perplexity (PPL) of the naive sum, and its change in % against merged-data fine-tuning, "
        f"the base, and each domain's own adapter ({seeds} seed{'s' if seeds > 1 else ''})",
        table,
    )


def correlation_table(summary: Summary) -> Group:
    """Each figure that weights tell against the change of perplexity."""
    table = plain_table()
    table.add_column("figure")
    table.add_column("among")
    table.add_column("n", justify="right")
    for column in ("Pearson", "Spearman", "slope"):
        table.add_column(column, justify="right")
    for row in summary.correlations:
        table.add_row(
            Text(row.figure.replace("_", " ")),
            {"pairs": "pairs", "all": "all subsets"}[row.among],
            str(row.n),
            *(_with_interval(getattr(row, k), getattr(row, f"{k}_interval")) for k in _STATISTICS),
        )
    return _titled("What the weights tell, against the change of perplexity on the union", table)


_STATISTICS = ("pearson", "spearman", "slope")


def plain_table(**settings: Any) -> Table:
    """A table with a line under its head and no other."""
    return Table(box=box.SIMPLE_HEAD, **settings)


def _titled(title: str, table: Table) -> Group:
    """Title and table; the title is not broken to the width of a narrow table."""
    return Group(Text(title, style="bold"), table)


def _change(figure: Change) -> str:
    spread = "" if figure.spread is None else f" ± {figure.spread:.1f}"
    return f"{figure.mean:+.1f}{spread}"


def _with_interval(value: float | None, interval: Sequence[float | None] | None) -> str:
    if value is None:
        return "none"
    low, high = interval or (None, None)
    if low is None or high is None:
        return _short(value)
    return f"{_short(value)} ({_short(low)} to {_short(high)})"


def _short(value: float) -> str:
    """Two decimals, and whole numbers where there are thousands."""
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}"


def own_adapters_table(summary: Summary) -> Group:
    """Base and single adapters down, domains across: the mean perplexity."""
    rows = summary.own_adapters
    table = plain_table()
    table.add_column("model")
    for domain in summary.domains:
        table.add_column(Text(domain), justify="right")
    for name, row in rows.items():
        table.add_row(
            Text(name if name == "base" else f"{name} adapter"),
            *(f"{row[domain].mean:.2f}" for domain in summary.domains),
        )
    return _titled("Perplexity of base and single adapters on each domain", table)


def samples_table(samples: Sequence[tuple[str, str, Sequence[Answer]]]) -> Group:
    """Test questions, the expected answer, and what base, own adapter and the sum say."""
    table = plain_table(show_lines=True)
    for column in ("question", "expected", "base", "own adapter", "sum of all"):
        table.add_column(column, ratio=1)
    for _, expected, said in samples:
        table.add_row(Text(said[0].question), Text(expected), *(Text(a.text) for a in said))
    return _titled("Sample answers", table)
