"""docs/benchmarks.md, from the records of the benchmarks that lie here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.result import RESULTS, tables

__all__ = ["PAGE", "page", "records", "write_page"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"

_HEAD = """\
# How quick it is

Made by `python -m benchmarks --page` from the records in `benchmarks/results`; no figure here is
typed. `make bench` measures all of it anew in one run, which takes about an hour of two cores that
nothing else uses, and writes this page.

Each benchmark runs what it compares by turns, superpose beside its peer or beside the bare work, so
that whatever else the machine does hits both; a ratio is the median of the rounds' own ratios.
Whole processes are timed from start to end, with the peak memory that the kernel counts. Of the
runs of one thing stand the minimum, the median and the maximum.

What is not a question of time has pages of its own: [who writes the sum](exactness.md) beside other
tools, [who foretells interference](prediction.md), [which merge method](methods.md).

"""

_WHEN = """
| benchmark | measured | superpose | on | load before it |
| --- | --- | --- | --- | ---: |
"""


def records(order: Sequence[str], folder: Path = RESULTS) -> list[Mapping[str, Any]]:
    """Give every benchmark's record that lies in the folder: those named first, in that order.

    Other records, which have pages of their own, are not given.
    """
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}
    names = [*order, *sorted(set(found) - set(order))]
    known = [found[name] for name in names if name in found]
    return [each for each in known if {"question", "timings", "targets"} <= set(each)]


def page(records: Sequence[Mapping[str, Any]]) -> str:
    """Give the page of these records."""
    rows = "".join(_row(record) for record in records)
    return _HEAD + _runs(records) + _WHEN + rows + "".join(f"\n{tables(r)}\n" for r in records)


def write_page(order: Sequence[str], folder: Path = RESULTS) -> None:
    """Write the page from what lies in the folder."""
    PAGE.write_text(page(records(order, folder)), encoding="utf-8")


def _runs(records: Sequence[Mapping[str, Any]]) -> str:
    """Say whether all stands for one run, and when each run was."""
    runs = sorted({_begun(record) for record in records})
    if len(runs) == 1:
        return f"All figures are of one run, begun {runs[0]} (UTC).\n"
    return (
        f"The figures are not of one run: each benchmark was measured last between {runs[0]} and\n"
        f"{runs[-1]} (UTC). Compare within a table, not across tables. The load is how many\n"
        "processes wanted a core in the minute before, where that was looked at.\n"
    )


def _row(record: Mapping[str, Any]) -> str:
    made = record["measured_with"]
    on = f"{made['cores']} cores of {made['processor']}"
    load = f"{made['load']:.1f}" if "load" in made else ""
    version = made.get("superpose", "")
    return f"| {record['name']} | {_begun(record)} | {version} | {on} | {load} |\n"


def _begun(record: Mapping[str, Any]) -> str:
    return str(record["measured_with"].get("begun", "at a time that was not kept"))
