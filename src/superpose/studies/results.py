"""A study's `table.csv`, `rows.npz` and `summary.json`, made from its cells, at any time again."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from superpose._version import __version__
from superpose.data.prompt import CHAT, DEFAULT_TEMPLATE
from superpose.executor.cores import granted_cores
from superpose.landscape.forecast import MOST
from superpose.measure.evaluate import Score
from superpose.measure.lambda_space import FEWEST
from superpose.studies.accuracies import accuracies, matches
from superpose.studies.beside import (
    against_sum_summary,
    forecast_summary,
    methods_summary,
    ratio_change,
    spread,
)
from superpose.studies.cells import UNION, StudyCell
from superpose.studies.correlations import correlations, points
from superpose.studies.folder import DOMAINS, PROMPT, StudyFolder
from superpose.studies.kept_settings import SUMMARY
from superpose.studies.row_losses import ROWS, write_row_losses
from superpose.studies.scores import StudyScores
from superpose.studies.spec import StudySpec
from superpose.studies.summary import (
    FigureCorrelation,
    RowCounts,
    Spread,
    SubsetSums,
    Summary,
    SumRow,
)
from superpose.studies.table import write_table
from superpose.training.train import RECORD

__all__ = ["write_results"]

_PACKAGES = ("torch", "transformers", "peft", "numpy")


def write_results(folder: StudyFolder, spec: StudySpec, cells: Sequence[StudyCell]) -> Summary:
    """Write `table.csv`, `rows.npz` and `summary.json` of the finished cells; give the summary.

    Only seeds all of whose cells are evaluated count. Raises BadInput where there is none.
    """
    scores = StudyScores.read(folder, cells)
    checks = {seed: folder.read(f"cells/seed-{seed}/check.json") for seed in scores.seeds}
    found = points(scores, checks)
    correlated = correlations(found)
    domains = _domains(scores, folder.read(DOMAINS))
    settings = spec.model_dump(mode="json")
    settings["prompt"] = _prompt(folder, settings["prompt"])
    summary = Summary(
        name=spec.name,
        base=spec.base,
        seeds=scores.seeds,
        settings=settings,
        domains=domains,
        own_adapters=_own_adapters(scores),
        subsets=tuple(_subset(scores, names) for names in scores.subsets),
        methods=methods_summary(scores),
        against_sum=against_sum_summary(scores),
        accuracies=accuracies(scores),
        matches=matches(scores),
        forecast=forecast_summary(scores, folder),
        points=found,
        correlations=correlated,
        remarks=(
            *_asked_in(settings["prompt"]),
            *_remarks(correlated, domains, spec, scores.seeds),
        ),
        seconds=_seconds(folder, list(scores.cells)),
        versions={"superpose": __version__} | {name: version(name) for name in _PACKAGES},
        machine=_machine(),
    )
    write_table(scores, folder.path / "table.csv")
    write_row_losses(scores, folder.path / ROWS)
    folder.write(SUMMARY, summary.to_json())
    return summary


def _machine() -> dict[str, Any]:
    counts = {"cpus": os.cpu_count(), "threads": granted_cores()}
    return counts | {"processor": platform.machine()}


def _subset(scores: StudyScores, names: tuple[str, ...]) -> SubsetSums:
    """A subset's sum beside merged data, base and single adapters, a row for each domain."""
    return SubsetSums(names, tuple(_sum_row(scores, names, name) for name in (*names, UNION)))


def _sum_row(scores: StudyScores, names: tuple[str, ...], domain: str) -> SumRow:
    sums = scores.each("sum", names, domain)
    against = {m: scores.each(m, names, domain) for m in ("merged", "base", "single")}
    found = {method: _perplexity(others) for method, others in against.items()}
    changes = {f"dppl_{method}": ratio_change(sums, others) for method, others in against.items()}
    lost = spread([a.nll - b.nll for a, b in zip(sums, against["single"], strict=True)])
    kinds: dict[str, Any] = found | changes
    return SumRow(domain=domain, sum=_perplexity(sums), interference=lost, **kinds)


def _own_adapters(scores: StudyScores) -> dict[str, dict[str, Spread]]:
    """Perplexity of the base and of every single adapter on every domain."""
    base = scores.cells[StudyCell("base", (), None)]
    table = {"base": {name: _perplexity([score]) for name, score in base.items()}}
    for adapter in scores.domains:
        cells = [StudyCell("single", (adapter,), seed) for seed in scores.seeds]
        table[adapter] = {
            domain: _perplexity([scores.cells[cell][domain] for cell in cells])
            for domain in scores.domains
        }
    return table


def _domains(scores: StudyScores, notes: Mapping[str, Mapping[str, int]]) -> dict[str, RowCounts]:
    base = scores.cells[StudyCell("base", (), None)]
    return {
        name: RowCounts(**notes[name], answer_tokens=base[name].tokens) for name in scores.domains
    }


def _seconds(folder: StudyFolder, cells: Sequence[StudyCell]) -> dict[str, float]:
    training = [folder.read(f"{c.adapter}/{RECORD}")["seconds"] for c in cells if c.trained]
    evaluation = [folder.read(cell.file)["seconds"] for cell in cells]
    return {"training": round(sum(training), 1), "evaluation": round(sum(evaluation), 1)}


def _prompt(folder: StudyFolder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give what rows became tokens with; an older study has it of its file alone."""
    if (folder.path / PROMPT).exists():
        return dict(folder.read(PROMPT))
    return {**settings, "template": settings["template"] or DEFAULT_TEMPLATE}


def _asked_in(prompt: Mapping[str, Any]) -> Iterator[str]:
    """Say of which domains rows were asked in a chat template, and in which."""
    chat = prompt.get("chat_template")
    if chat:
        names = ", ".join(name for name, of in prompt["templates"].items() if CHAT in of)
        yield f"{names}: asked in the chat template of {chat['of']} (SHA-256 {chat['sha256']})"


def _remarks(
    correlated: Sequence[FigureCorrelation],
    domains: Mapping[str, RowCounts],
    spec: StudySpec,
    seeds: Sequence[int],
) -> tuple[str, ...]:
    """What a reader has to know before believing the figures."""
    remarks = list(dict.fromkeys(row.note for row in correlated))
    for name, rows in domains.items():
        remarks += [f"{name}: {remark}" for remark in _remarks_on(rows, spec)]
    if spec.calibration_rows and min(d.calibration_rows for d in domains.values()) < FEWEST:
        remarks.append(f"no forecast, and no tuned sums: that takes {FEWEST} rows of each domain")
    if spec.calibration_rows and len(domains) > MOST:
        remarks.append(f"no forecast, and no tuned sums: that takes at most {MOST} domains")
    if missing := [seed for seed in spec.seeds if seed not in seeds]:
        remarks.append(f"not finished, and left out: seeds {', '.join(map(str, missing))}")
    return tuple(remarks)


def _remarks_on(rows: RowCounts, spec: StudySpec) -> Iterator[str]:
    if rows.cut_test_rows or rows.cut_train_rows:
        yield (
            f"at {spec.prompt.max_tokens} tokens {rows.cut_test_rows} of {rows.test_rows} test "
            f"answers and {rows.cut_train_rows} of {rows.train_rows} training answers are cut; "
            "only what is left is scored"
        )
    if rows.calibration_rows < spec.calibration_rows:
        yield (
            f"{rows.calibration_rows} calibration rows, not {spec.calibration_rows}: that is what "
            "training and test rows leave over"
        )
    if rows.left_out_rows:
        yield (
            f"{rows.left_out_rows} rows of its sources left out, whose question leaves the answer "
            "no room"
        )


def _perplexity(scores: Sequence[Score]) -> Spread:
    return spread([score.perplexity for score in scores])
