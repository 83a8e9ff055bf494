"""A study's `summary.json`: what its cells say, with spreads, intervals and the settings.

Made from the cells alone, so it can be made again at any time.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from superpose._version import __version__
from superpose.measure.evaluate import Score
from superpose.measure.lambda_space import FEWEST
from superpose.studies.beside import change_interval, forecast_summary, methods_summary, spread
from superpose.studies.cells import Cell, subsets
from superpose.studies.correlations import correlations, points
from superpose.studies.folder import DOMAINS, StudyFolder
from superpose.studies.scores import UNION, StudyScores, change_percent
from superpose.studies.spec import StudySpec
from superpose.studies.table import write_table
from superpose.training.train import RECORD

__all__ = ["write_results"]

_PACKAGES = ("torch", "transformers", "peft", "numpy")


def write_results(folder: StudyFolder, spec: StudySpec, cells: Sequence[Cell]) -> dict[str, Any]:
    """Write `table.csv` and `summary.json` from the cells that are finished; give the summary.

    Only seeds all of whose cells are evaluated count. Raises BadInput where there is none.
    """
    scores = StudyScores.read(folder, cells)
    checks = {seed: folder.read(f"cells/seed-{seed}/check.json") for seed in scores.seeds}
    found = points(scores, checks)
    correlated = correlations(found)
    domains = _domains(scores, folder.read(DOMAINS))
    summary = {
        "name": spec.name,
        "base": spec.base,
        "seeds": list(scores.seeds),
        "settings": spec.model_dump(mode="json"),
        "domains": domains,
        "own_adapters": _own_adapters(scores),
        "subsets": [_subset(scores, names) for names in subsets(scores.domains)],
        "methods": methods_summary(scores),
        "forecast": forecast_summary(scores, folder),
        "points": found,
        "correlations": correlated,
        "remarks": _remarks(correlated, domains, spec, scores.seeds),
        "seconds": _seconds(folder, list(scores.cells)),
        "versions": {"superpose": __version__} | {name: version(name) for name in _PACKAGES},
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine()},
    }
    write_table(scores, folder.path / "table.csv")
    folder.write("summary.json", summary)
    return summary


def _subset(scores: StudyScores, names: tuple[str, ...]) -> dict[str, Any]:
    """A subset's sum beside merged data, base and single adapters, a row for each domain.

    dppl_*: per cent, mean and spread over seeds, and a 95 % interval by bootstrap over the
    questions. interference: nats an answer token above the domain's own adapter.
    """
    rows = []
    for domain in (*names, UNION):
        sums = scores.each("sum", names, domain)
        row: dict[str, Any] = {"domain": domain, "sum": _perplexity(sums)}
        for method in ("merged", "base", "single"):
            others = scores.each(method, names, domain)
            row[method] = _perplexity(others)
            changes = [change_percent(a, b) for a, b in zip(sums, others, strict=True)]
            row[f"dppl_{method}"] = spread(changes) | {"interval": change_interval(sums, others)}
        own = scores.each("single", names, domain)
        row["interference"] = spread([a.nll - b.nll for a, b in zip(sums, own, strict=True)])
        rows.append(row)
    return {"domains": list(names), "rows": rows}


def _own_adapters(scores: StudyScores) -> dict[str, dict[str, Any]]:
    """Perplexity of the base and of every single adapter on every domain."""
    base = scores.cells[Cell("base", (), None)]
    table: dict[str, dict[str, Any]] = {"base": {n: _perplexity([s]) for n, s in base.items()}}
    for adapter in scores.domains:
        cells = [Cell("single", (adapter,), seed) for seed in scores.seeds]
        table[adapter] = {
            domain: _perplexity([scores.cells[cell][domain] for cell in cells])
            for domain in scores.domains
        }
    return table


def _domains(
    scores: StudyScores, notes: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """Rows of each domain, how many of their answers were cut, and the answer tokens scored."""
    base = scores.cells[Cell("base", (), None)]
    return {name: {**notes[name], "answer_tokens": base[name].tokens} for name in scores.domains}


def _seconds(folder: StudyFolder, cells: Sequence[Cell]) -> dict[str, float]:
    """Wall time of all trainings and all evaluations, summed over their cells."""
    training = [folder.read(f"{c.adapter}/{RECORD}")["seconds"] for c in cells if c.trained]
    evaluation = [folder.read(cell.file)["seconds"] for cell in cells]
    return {"training": round(sum(training), 1), "evaluation": round(sum(evaluation), 1)}


def _remarks(
    correlated: Sequence[Mapping[str, Any]],
    domains: Mapping[str, Mapping[str, int]],
    spec: StudySpec,
    seeds: Sequence[int],
) -> list[str]:
    """What a reader has to know before believing the figures."""
    remarks = list(dict.fromkeys(row["note"] for row in correlated))
    for name, rows in domains.items():
        if rows["cut_test_rows"] or rows["cut_train_rows"]:
            remarks.append(
                f"{name}: at {spec.prompt.max_tokens} tokens {rows['cut_test_rows']} of "
                f"{rows['test_rows']} test answers and {rows['cut_train_rows']} of "
                f"{rows['train_rows']} training answers are cut; only what is left is scored"
            )
        if rows["calibration_rows"] < spec.calibration_rows:
            remarks.append(
                f"{name}: {rows['calibration_rows']} calibration rows, not "
                f"{spec.calibration_rows}: that is what training and test rows leave over"
            )
        if rows["left_out_rows"]:
            remarks.append(
                f"{name}: {rows['left_out_rows']} rows of its sources left out, whose question "
                "leaves the answer no room"
            )
    if spec.calibration_rows and min(d["calibration_rows"] for d in domains.values()) < FEWEST:
        remarks.append(f"no forecast, and no tuned sums: that takes {FEWEST} rows of each domain")
    if missing := [seed for seed in spec.seeds if seed not in seeds]:
        remarks.append(f"not finished, and left out: seeds {', '.join(map(str, missing))}")
    return remarks


def _perplexity(scores: Sequence[Score]) -> dict[str, Any]:
    return spread([score.perplexity for score in scores])
