"""Which lines and branches of the NumPy rooms the tests pass: docs/results/coverage.json.

python scripts/room_coverage.py                # half an hour of a core
python scripts/room_coverage.py --data FOLDER  # keep what such a run counts, or judge it
python scripts/room_coverage.py --missing      # also list what no test passed

The tests are CI's, but for those of pages. Commands and workers that a test starts count as well,
unless they are killed. A branch is a way that a line can go on, such as the two of an `if`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "docs" / "results" / "coverage.json"

ROOMS = (
    *("errors", "option", "arguments", "names", "shown", "lowrank", "files", "statistics"),
    *("adapter", "data", "executor", "formats", "interference", "compose", "extraction", "baking"),
    *("library", "landscape"),
)
"""All that import-linter keeps torch from."""

LEAST = 95.0
"""Per cent of all branches, below which it fails."""


def main() -> int:
    """Run or read, write the record, say it; 1 where fewer branches than LEAST were passed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="keep what coverage.py counts, or judge it")
    parser.add_argument("--missing", action="store_true", help="list what was not passed")
    parser.add_argument("--record", type=Path, default=RECORD)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = asked.data or Path(folder)
        if not list(data.glob("counted*")):
            _run(data)
        report = _report(data)
    figures = by_room(report)
    asked.record.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for name, each in figures.items():
        lines, branches = share(each, "lines"), share(each, "branches")
        print(f"{name:14} lines {lines:6.2f} %  branches {branches:6.2f} %")
    if asked.missing:
        _list(report)
    if share(figures["all"], "branches") < LEAST:
        print(f"fewer than {LEAST:g} % of the branches are passed", file=sys.stderr)
        return 1
    return 0


def by_room(report: Mapping[str, Mapping[str, Mapping[str, object]]]) -> dict[str, dict[str, int]]:
    """Give of each room, and of all, lines and branches that there are and that were passed.

    report: coverage.py's JSON.
    """
    names = {
        "lines": "num_statements",
        "lines passed": "covered_lines",
        "branches": "num_branches",
        "branches passed": "covered_branches",
    }
    found = {room: dict.fromkeys(names, 0) for room in (*ROOMS, "all")}
    for file, each in report["files"].items():
        parts = Path(file).parts
        room = Path(parts[parts.index("superpose") + 1]).stem
        summary = each["summary"]
        assert isinstance(summary, dict)
        for of in (room, "all") if room in ROOMS else ():
            for ours, theirs in names.items():
                found[of][ours] += summary[theirs]
    return {room: each for room, each in found.items() if each["lines"]}


def share(each: Mapping[str, int], what: str) -> float:
    """Give per cent; all of none is 100."""
    return 100.0 * each[f"{what} passed"] / each[what] if each[what] else 100.0


def _run(folder: Path) -> None:
    """Count in every process of the tests, into files of this folder."""
    folder.mkdir(exist_ok=True)
    settings = folder / "coverage.ini"
    settings.write_text(
        "[run]\nbranch = true\nsource = superpose\nparallel = true\npatch = subprocess, _exit\n"
        f"data_file = {folder.absolute() / 'counted'}\n",
        encoding="utf-8",
    )
    jobs = os.environ.get("JOBS", "2")
    tests = ["tests", "--ignore=tests/core", "--ignore=tests/docs", "-n", jobs, "--dist=loadfile"]
    command = ["run", f"--rcfile={settings}", "-m", "pytest", "-q", *tests]
    try:
        _coverage(*command, "-m", "not hard and not again")
    except subprocess.CalledProcessError:
        # What looks at a process's imports sees the counting.
        print("some tests fail while they are counted; `make test` tells whether they pass")


def _report(folder: Path) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    with tempfile.TemporaryDirectory() as place:
        combined, report = Path(place) / "combined", Path(place) / "report.json"
        # A process that was killed leaves a file with nothing in it.
        counted = [str(path) for path in folder.glob("counted*") if _has_tables(path)]
        _coverage("combine", "--keep", "--quiet", f"--data-file={combined}", *counted)
        _coverage("json", "--quiet", f"--data-file={combined}", "-o", str(report))
        found: Mapping[str, Mapping[str, Mapping[str, object]]] = json.loads(report.read_text())
    return found


def _has_tables(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path)) as file:
            asked = "select name from sqlite_master where name = 'arc'"
            whole = file.execute("pragma quick_check").fetchone() == ("ok",)
            return whole and bool(file.execute(asked).fetchall())
    except sqlite3.DatabaseError:
        return False


def _coverage(*arguments: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "coverage", *arguments], check=True, cwd=ROOT, env=environment
    )


def _list(report: Mapping[str, Mapping[str, Mapping[str, object]]]) -> None:
    for file, each in report["files"].items():
        lines, branches = each["missing_lines"], each["missing_branches"]
        if (lines or branches) and any(f"superpose/{room}" in file for room in ROOMS):
            print(f"{file}: lines {lines}, branches {branches}")


if __name__ == "__main__":
    sys.exit(main())
