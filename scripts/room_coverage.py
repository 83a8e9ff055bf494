"""Which lines and branches of the NumPy rooms their tests pass: docs/results/coverage.json.

python scripts/room_coverage.py                    # run the tests (a quarter of an hour of a core)
python scripts/room_coverage.py --data FILE...     # judge what such runs kept
python scripts/room_coverage.py --missing          # also list what no test passed

Only what runs in the tests' own process counts: a command that a test starts is not looked at. A
branch is a way that a line can go on, such as the two of an `if`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "docs" / "results" / "coverage.json"

ROOMS = (
    *("errors", "option", "arguments", "names", "shown", "lowrank", "files", "statistics"),
    *("adapter", "data", "executor", "formats", "interference", "compose", "extraction", "baking"),
    *("library", "landscape"),
)
"""All that import-linter keeps torch from."""

ABOVE = ("core", "verbs", "cli", "peft")
"""Rooms above, whose tests pass through those."""

LEAST = 95.0
"""Per cent of all branches, below which it fails."""


def main() -> int:
    """Run or read, write the record, say it; 1 where fewer branches than LEAST were passed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", help="files that coverage.py wrote")
    parser.add_argument("--missing", action="store_true", help="list what was not passed")
    parser.add_argument("--record", type=Path, default=RECORD)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = asked.data or [_run(Path(folder))]
        report = _report(data, Path(folder))
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


def _run(folder: Path) -> Path:
    data = folder / "data"
    tests = [f"tests/{name}" for name in (*ROOMS, *ABOVE) if (ROOT / "tests" / name).is_dir()]
    alone = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("tests/test_*.py"))]
    _coverage(data, "run", "--branch", "--source=superpose", "-m", "pytest", "-q", "-m",
              "not slow and not hard", *tests, *alone)  # fmt: skip
    return data


def _report(data: Sequence[Path], folder: Path) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    combined, report = folder / "combined", folder / "report.json"
    _coverage(combined, "combine", "--keep", "--quiet", *(str(path.absolute()) for path in data))
    _coverage(combined, "json", "--quiet", "-o", str(report))
    found: Mapping[str, Mapping[str, Mapping[str, object]]] = json.loads(report.read_text())
    return found


def _coverage(data: Path, *arguments: str) -> None:
    command = [
        sys.executable,
        "-m",
        "coverage",
        arguments[0],
        f"--data-file={data}",
        *arguments[1:],
    ]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})


def _list(report: Mapping[str, Mapping[str, Mapping[str, object]]]) -> None:
    for file, each in report["files"].items():
        lines, branches = each["missing_lines"], each["missing_branches"]
        if (lines or branches) and any(f"superpose/{room}" in file for room in ROOMS):
            print(f"{file}: lines {lines}, branches {branches}")


if __name__ == "__main__":
    sys.exit(main())
