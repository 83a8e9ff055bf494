"""The page of `superpose lineage`: runs as trees of checkpoints, and what began with one A."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.graph import Graph, star, tree
from superpose.report.made import Making, made_section
from superpose.report.page import Page, Section
from superpose.report.tables import DataTable
from superpose.shown import Table
from superpose.shown.words import counted, figure

__all__ = ["lineage_page"]

TERMS = ("delta", "cosine")

_DRAWN = 60
"""Runs, or cohorts, that are drawn: those with the most members."""

_CSV = ("run", "adapter", "path", "after", "cosine", "distance", "norm", "step")


def lineage_page(found: Mapping[str, Any], tables: Sequence[Table], made: Making) -> Page:
    """Give the page of what `lineage --json` holds. tables: of the runs and of the cohorts."""
    by_title = {table.title: table for table in tables}
    sections = [_verdict(found)]
    if found["runs"]:
        sections.append(_runs(found["runs"], by_title["Runs"]))
    if found["cohorts"]:
        sections.append(_cohorts(found["cohorts"], by_title["Began with one A"]))
    sections.append(made_section(made, TERMS))
    title = f"How {counted(found['among'], 'adapter')} descend from each other"
    return Page(title, "What the weights alone tell", tuple(sections))


def _verdict(found: Mapping[str, Any]) -> Section:
    runs, cohorts = found["runs"], found["cohorts"]
    members = sum(len(run["members"]) for run in runs)
    forks = sum(_forks(run) for run in runs)
    alike = sum(len(one["members"]) for one in cohorts)
    sentences = [
        (
            f"{counted(len(runs), 'run')} with {counted(members, 'adapter')}.",
            f"{counted(forks, 'checkpoint')} had more than one go on from it."
            if forks
            else "No two went on from one checkpoint.",
        ),
        (
            f"{counted(len(cohorts), 'cohort')} with {counted(alike, 'adapter')}.",
            "Those of a cohort began with one A, which does not make them one run.",
        ),
    ]
    remark = (
        "Sketches choose what is looked at; every cosine and distance on this page is exact. Which "
        "of two checkpoints came first, the weights tell by their size alone."
    )
    return Section("verdict", "Verdict", _said(sentences, remark))


def _said(sentences: Sequence[tuple[str, str]], remark: str) -> dict[str, Any]:
    return {"sentences": sentences, "remark": remark, "cards": [], "lists": []}


def _forks(run: Mapping[str, Any]) -> int:
    after = [one["after"] for one in run["members"]]
    return sum(after.count(name) > 1 for name in {name for name in after if name is not None})


def _runs(runs: Sequence[Mapping[str, Any]], table: Table) -> Section:
    order = sorted(range(len(runs)), key=lambda at: -len(runs[at]["members"]))[:_DRAWN]
    rows = [
        [at + 1, *(one["name" if key == "adapter" else key] for key in _CSV[1:])]
        for at, run in enumerate(runs)
        for one in run["members"]
    ]
    data = DataTable("runs", table, "runs.csv", (_CSV, rows), heads=2)
    values = {
        "lead": "Each dot is an adapter, and hangs on the one that it is least far from; the first "
        "is the smallest.",
        "left_out": _fewer(len(runs), "run"),
        "graphs": [_run(at, runs[at]) for at in sorted(order)],
        "table": data,
        "open": len(rows) <= 12,
        "summary": "Every adapter of a run in figures",
    }
    return Section("runs", "Runs", values, {"tables": {"runs": data.data()}}, "graphs")


def _run(at: int, run: Mapping[str, Any]) -> Graph:
    members = run["members"]
    places = {one["name"]: n for n, one in enumerate(members)}
    names = [one["name"] for one in members]
    above = [None if one["after"] is None else places[one["after"]] for one in members]
    rows = tree(names, above, [_says(one) for one in members])
    ordered = {True: "; their names say the same order", False: "; their names say another order"}
    count, forks = counted(len(members), "adapter"), counted(_forks(run), "fork")
    says = f"{count} of {run['base']}, {forks}{ordered.get(run['in_order'], '')}."
    return Graph(f"run-{at + 1}", f"Run {at + 1}: {count}", says, tuple(rows))


def _says(one: Mapping[str, Any]) -> str:
    if one["after"] is None:
        return f"{one['name']}: the first, norm {figure(one['norm'], '.4g')}"
    return (
        f"{one['name']} after {one['after']}: cosine {figure(one['cosine'], '.4f')}, distance "
        f"{figure(one['distance'], '.3f')} of its norm {figure(one['norm'], '.4g')}"
    )


def _cohorts(cohorts: Sequence[Mapping[str, Any]], table: Table) -> Section:
    order = sorted(range(len(cohorts)), key=lambda at: -len(cohorts[at]["members"]))[:_DRAWN]
    columns = ("cohort", "base", "rank", "cosine", "adapter")
    rows = [
        [at + 1, one["base"], one["rank"], one["cosine"], name]
        for at, one in enumerate(cohorts)
        for name in one["members"]
    ]
    data = DataTable("cohorts", table, "cohorts.csv", (columns, rows))
    values = {
        "lead": "Adapters that began with one A: their A factors have a cosine that two starts "
        "never have.",
        "left_out": _fewer(len(cohorts), "cohort"),
        "graphs": [_cohort(at, cohorts[at]) for at in sorted(order)],
        "table": data,
        "open": False,
        "summary": "Every cohort in figures",
    }
    return Section("cohorts", "Cohorts", values, {"tables": {"cohorts": data.data()}}, "graphs")


def _cohort(at: int, one: Mapping[str, Any]) -> Graph:
    count = counted(len(one["members"]), "adapter")
    start = f"one A, rank {one['rank']}"
    least = figure(one["cosine"], ".2f")
    says = f"{count} of {one['base']} that began with {start}; cosine of A at least {least}."
    rows = star(start, one["members"], [f"{name} began with it" for name in one["members"]])
    return Graph(f"cohort-{at + 1}", f"Cohort {at + 1}: {count}", says, tuple(rows))


def _fewer(count: int, what: str) -> str:
    return f"Drawn are the {_DRAWN} largest of {counted(count, what)}." if count > _DRAWN else ""
