"""Measure how exact the sums of several tools are, and write docs/exactness.md and README.md.

The tools that are installed beside superpose: `python -m benchmarks.exactness`.
All of them, the others from an environment of their own:

    python -m venv /tmp/tools && /tmp/tools/bin/pip install -r benchmarks/exactness/tools.txt
    python -m benchmarks.exactness --python all=/tmp/tools/bin/python

`all` is an interpreter for every tool that is not installed here; `--python mergekit=PATH`, which
may be given for each tool, comes before both. One tool again, on the same cases, beside what the
JSON that lies here has of the others: `python -m benchmarks.exactness --only superpose`. The pages
alone, from that JSON: `python -m benchmarks.exactness --pages`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.exactness.cases import CASES
from benchmarks.exactness.measuring import measure
from benchmarks.exactness.pages import RECORD, write_pages
from benchmarks.exactness.tools import TOOLS


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all tools over all cases, in one run, and write what came out."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exactness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--python", action="append", default=[], metavar="TOOL=PATH")
    parser.add_argument("--only", action="append", default=[], metavar="TOOL", choices=[*TOOLS])
    parser.add_argument("--pages", action="store_true", help="write the pages, measure nothing")
    asked = parser.parse_args(arguments)
    if not asked.pages:
        tools = {name: tool for name, tool in TOOLS.items() if name in (asked.only or TOOLS)}
        record = measure(tools, CASES, _pythons(parser, asked.python), report=_tell)
        if asked.only:
            record = beside(json.loads(RECORD.read_text(encoding="utf-8")), record)
        RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_pages()


def _pythons(parser: argparse.ArgumentParser, given: Sequence[str]) -> dict[str, str]:
    """Tool -> interpreter, from `TOOL=PATH`."""
    pythons = dict(each.partition("=")[::2] for each in given)
    for name, path in pythons.items():
        if name not in {*TOOLS, "all"} or not path:
            parser.error(f"--python {name}={path}: give TOOL=PATH, the tool one of {[*TOOLS]}")
    return pythons


def beside(before: dict[str, Any], again: dict[str, Any]) -> dict[str, Any]:
    """Give a record with the tools that were measured again in the place of their own rows.

    Raises SystemExit where the cases are no longer those that the other tools were asked for.
    """
    if before["cases"] != again["cases"]:
        raise SystemExit("the cases have changed: measure all tools, without --only")
    fresh = {row["tool"]: [] for row in again["ways"]}
    for row in again["ways"]:
        fresh[row["tool"]].append(row)
    ways: list[Any] = []
    for tool in dict.fromkeys(row["tool"] for row in (*before["ways"], *again["ways"])):
        ways += fresh.get(tool) or [row for row in before["ways"] if row["tool"] == tool]
    missing = [tool for tool in before["missing"] if tool not in fresh]
    return before | {"ways": ways, "missing": missing}


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
