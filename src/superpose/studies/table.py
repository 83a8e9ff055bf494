"""The study's `table.csv`: a row for each (seed, method, subset, domain)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from superpose.files import new_file
from superpose.measure.choice_score import ACCURACY, accuracy_figures
from superpose.measure.evaluate import interval_of
from superpose.studies.cells import MERGED_BY, SUMS, UNION, StudyCell
from superpose.studies.scores import StudyScores, change_percent

__all__ = ["COLUMNS", "table_rows", "write_table"]

COLUMNS = (
    *("seed", "method", "subset", "weights", "domain", "nll", "tokens"),
    *(
        "perplexity",
        "perplexity_low",
        "perplexity_high",
        "dppl_percent",
        "dppl_base_percent",
        "dppl_single_percent",
    ),
    *ACCURACY,
)
"""nll: nats an answer token. perplexity_low, perplexity_high: its 95 % bootstrap interval over
questions. dppl_percent: a sum, of whatever weights, against merged-data fine-tuning; then against
the base and against each domain's own adapter. The rest, of rows with choices: shares of
questions and their 95 % Wilson intervals."""

_AGAINST = {
    "dppl_percent": "merged",
    "dppl_base_percent": "base",
    "dppl_single_percent": "single",
}


def write_table(scores: StudyScores, path: Path) -> None:
    """Write the table as CSV; a figure that does not exist is an empty field."""
    with new_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(table_rows(scores))


def table_rows(scores: StudyScores) -> Iterator[dict[str, Any]]:
    """Every cell on every domain, and a subset's cells on the union of its domains."""
    for cell, found in scores.cells.items():
        union = [UNION] if len(cell.domains) > 1 else []
        for domain in [*found, *union]:
            yield _row(scores, cell, domain)


def _row(scores: StudyScores, cell: StudyCell, domain: str) -> dict[str, Any]:
    on = scores.cells[cell]
    score = on[domain] if domain in on else scores.find(cell.method, cell.domains, cell.seed, UNION)
    assert score is not None
    low, high = interval_of(score)
    row: dict[str, Any] = {
        "seed": cell.seed,
        "method": cell.method,
        "subset": "+".join(cell.domains),
        "weights": json.dumps(scores.weights[cell]),
        "domain": domain,
        "nll": round(score.nll, 6),
        "tokens": score.tokens,
        "perplexity": round(score.perplexity, 5),
        "perplexity_low": low,
        "perplexity_high": high,
        **accuracy_figures(score.choices, score.match),
    }
    if cell.method in (*SUMS, *MERGED_BY):
        for column, method in _AGAINST.items():
            against = scores.find(method, cell.domains, cell.seed, domain)
            if against is not None:
                row[column] = round(change_percent(score, against), 4)
    return row
