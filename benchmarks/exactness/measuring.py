"""One run: every tool that is installed, every way to use it, every case."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.exactness.cases import Case
from benchmarks.exactness.making import write_case
from benchmarks.exactness.oracle import Right, right_sum
from benchmarks.exactness.protocol import Task, Tool, Way
from benchmarks.exactness.running import about, answers, outcome
from benchmarks.exactness.tools import NOT_MEASURED
from benchmarks.result import stamp

__all__ = ["EXACT", "ROUNDED", "measure"]

EXACT = 1e-5
"""A sum is exact when its relative error is at most this: float32 with room for a merged base."""

ROUNDED = 2.0**-8
"""It is as good as bfloat16, which has eight bits, when it is at most this."""


def measure(
    tools: Mapping[str, Tool],
    cases: Sequence[Case],
    pythons: Mapping[str, str] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Run tools over cases.

    pythons: tool (or `all`) -> an interpreter to look in where this one has not got the tool.
    Gives a record, for JSON: the cases, and for each way of each tool an outcome a case. A tool
    that is installed nowhere is left out, and named under `missing`.
    """
    found, missing = _find(tools, pythons or {})
    with TemporaryDirectory() as name:
        folder = Path(name)
        made = [
            write_case(case, folder, folder / f"case-{number}") for number, case in enumerate(cases)
        ]
        rights = [right_sum(each) for each in made]
        tasks = [each.task for each in made]
        ways = []
        for tool, (python, versions) in found.items():
            for way in tools[tool].ways:
                report(f"{tool}: {way.name}")
                row = _measure_way(python, tools[tool], way, tasks, rights)
                ways.append(row | {"versions": versions})
    return {
        "exact_at": EXACT,
        "rounded_at": ROUNDED,
        "cases": [case.to_json() for case in cases],
        "ways": ways,
        "missing": missing,
        "not_measured": NOT_MEASURED,
        "measured_with": stamp(),
    }


def _find(
    tools: Mapping[str, Tool], pythons: Mapping[str, str]
) -> tuple[dict[str, tuple[str, dict[str, str]]], list[str]]:
    """Look for each tool: tool -> interpreter and versions; and the tools found nowhere."""
    found = {}
    for name, tool in tools.items():
        places = [pythons.get(name), sys.executable, pythons.get("all")]
        for python in filter(None, places):
            versions = about(python, tool)
            if versions is not None:
                found[name] = (python, versions)
                break
    return found, [name for name in tools if name not in found]


def _measure_way(
    python: str, tool: Tool, way: Way, tasks: Sequence[Task], rights: Sequence[Right]
) -> dict[str, Any]:
    """Give one row of the record: a way of a tool with its outcome for every case."""
    outputs = [task.at(Path(task.out).with_name(_file_name(tool, way))) for task in tasks]
    said = answers(python, tool, way, outputs)
    outcomes = {
        task.case: outcome(way, task, answer, right)
        for task, answer, right in zip(outputs, said, rights, strict=True)
    }
    return {
        "tool": tool.name,
        "way": way.name,
        "call": way.call,
        "writes": way.writes,
        "base": way.base,
        "aim": way.aim,
        "outcomes": outcomes,
    }


def _file_name(tool: Tool, way: Way) -> str:
    name = f"{tool.name}-{way.name}"
    return "".join(letter if letter.isalnum() else "-" for letter in name)
