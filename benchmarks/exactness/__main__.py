"""Measure how exact the sums of several tools are, and write docs/exactness.md and README.md.

The tools that are installed beside superpose: `python -m benchmarks.exactness`.
All of them, the others from an environment of their own:

    python -m venv /tmp/tools && /tmp/tools/bin/pip install -r benchmarks/exactness/tools.txt
    python -m benchmarks.exactness --python all=/tmp/tools/bin/python

`all` is an interpreter for every tool that is not installed here; `--python mergekit=PATH`, which
may be given for each tool, comes before both. The pages alone, from the JSON that lies here:
`python -m benchmarks.exactness --pages`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

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
    parser.add_argument("--pages", action="store_true", help="write the pages, measure nothing")
    asked = parser.parse_args(arguments)
    if not asked.pages:
        record = measure(TOOLS, CASES, _pythons(parser, asked.python), report=_tell)
        RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_pages()


def _pythons(parser: argparse.ArgumentParser, given: Sequence[str]) -> dict[str, str]:
    """Tool -> interpreter, from `TOOL=PATH`."""
    pythons = dict(each.partition("=")[::2] for each in given)
    for name, path in pythons.items():
        if name not in {*TOOLS, "all"} or not path:
            parser.error(f"--python {name}={path}: give TOOL=PATH, the tool one of {[*TOOLS]}")
    return pythons


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
