"""What a paper takes of a study: tables as LaTeX and CSV, charts as SVG and PDF, BibTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from superpose.files import new_file
from superpose.report.accuracy import accuracies_data, matches_data
from superpose.report.against_sum import against_sum_data
from superpose.report.drawing import drawing_of
from superpose.report.latex import latex_table
from superpose.report.pdf import pdf_bytes
from superpose.report.relation import relation_charts
from superpose.report.svg import svg_text
from superpose.report.table_of_study import every_sum_csv
from superpose.shown import Column, Table, four_digits
from superpose.shown.cited import bibtex
from superpose.shown.csv_table import csv_text
from superpose.studies.cells import TITLES
from superpose.studies.summary import MethodRow, SubsetPoint, Summary
from superpose.studies.tables import adapters_table

__all__ = ["write_paper"]

CHARTS = {"paper": "cosine", "foreseen": "predicted-measured", "tournament": "predictors"}
"""A chart's key in the page -> what its files are called."""

_METHODS = (
    Column("sum of", lambda row: row.subset),
    Column("measured on", "domain"),
    Column("method", lambda row: TITLES[row.method]),
    Column("PPL", lambda row: row.perplexity.mean, four_digits),
    Column("± seeds", lambda row: row.perplexity.spread, ".3g"),
    *(
        Column(f"% vs {title}", key, "+.1f", (f"{key}_ends",))
        for key, title in (("merged", "merged data"), ("single", "own adapter"))
    ),
    Column("% kept", "kept", ".0f", ("kept_ends",)),
)

_WEIGHTS = (
    Column("sum of", "domains"),
    Column("seed", "seed", "d"),
    Column("RMS cosine", "rms_cosine", ".5f"),
    Column("cosine", "cosine", ".5f"),
    Column("output overlap", "output_overlap", ".4f"),
    Column("input overlap", "input_overlap", ".4f"),
    Column("norm ratio", "norm_ratio", ".3f"),
    Column("energy ratio", "energy_ratio", ".4f"),
    Column("norm", "norm", ".4g"),
    Column("dPPL %", "dppl_percent", "+.2f"),
    Column("interference", "interference", "+.4f"),
)


def write_paper(summary: Summary, folder: Path) -> tuple[Path, ...]:
    """Write everything into a folder, and give the files; earlier ones of these names are replaced.

    Raises BadInput where the system refuses to write.
    """
    return tuple(_written(folder / name, content) for name, content in _files(summary))


def _written(path: Path, content: bytes) -> Path:
    with new_file(path) as beside:
        beside.write_bytes(content)
    return path


def _files(summary: Summary) -> Iterator[tuple[str, bytes]]:
    for name, table, csv in _tables(summary):
        yield f"{name}.tex", latex_table(table).encode()
        yield f"{name}.csv", csv_text(*csv).encode()
    for chart in relation_charts(summary):
        drawing, name = drawing_of(chart), CHARTS[chart.key]
        yield f"{name}.svg", svg_text(drawing).encode()
        yield f"{name}.pdf", pdf_bytes(drawing)
    yield "references.bib", bibtex().encode()


def _tables(
    summary: Summary,
) -> Iterator[tuple[str, Table, tuple[Sequence[str], Sequence[Sequence[object]]]]]:
    """Give each table with its name and all its figures."""
    yield "methods", _methods_table(summary), every_sum_csv(summary)
    own = [
        (adapter, domain, spread.mean, spread.spread)
        for adapter, row in summary.own_adapters.items()
        for domain, spread in row.items()
    ]
    columns = ("adapter", "domain", "perplexity", "perplexity_spread")
    yield "adapters", adapters_table(summary), (columns, own)
    for name, given, data in (
        ("against-sum", summary.against_sum, against_sum_data),
        ("accuracy", summary.accuracies, accuracies_data),
        ("exact-match", summary.matches, matches_data),
    ):
        if given:
            found = data(summary)
            yield name, found.table, found.csv
    charts = {chart.key: chart.table for chart in relation_charts(summary)}
    yield "weights", _weights_table(summary.points), charts["paper"].csv
    if "foreseen" in charts:
        yield "predicted-measured", charts["foreseen"].table, charts["foreseen"].csv
    yield "correlations", charts["tournament"].table, charts["tournament"].csv


def _methods_table(summary: Summary) -> Table:
    title = (
        "Perplexity of one adapter for several domains, its standard deviation over seeds, its "
        "change against merged data and against each domain's own adapter with 95 % intervals over "
        "seeds and test questions, and the share of the own adapter's gain that is kept"
    )
    return Table.of(title, _METHODS, map(_Method, summary.methods))


def _weights_table(points: Sequence[SubsetPoint]) -> Table:
    title = "What the weights tell of a sum, a row for each seed, and what the naive sum did"
    return Table.of(title, _WEIGHTS, points)


class _Method:
    """A method's row with its figures side by side, as columns find them."""

    def __init__(self, row: MethodRow) -> None:
        self.subset, self.domain, self.method = row.subset, row.domain, row.method
        self.perplexity = row.perplexity
        own = row.method != "merged"
        self.merged = row.dppl_merged.mean if own else None
        self.merged_ends = row.dppl_merged.ends if own else None
        self.single, self.single_ends = row.dppl_single.mean, row.dppl_single.ends
        share = None if row.kept is None else row.kept.share
        ends = None if row.kept is None else row.kept.interval
        self.kept = None if share is None else 100 * share
        self.kept_ends = None if ends is None else (100 * ends[0], 100 * ends[1])
