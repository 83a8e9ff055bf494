"""Correlate the points of the summaries under docs/results/ anew, as this version does.

What a study measured stays as it is; `make docs` makes the page of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from superpose.studies.correlations import correlations
from superpose.studies.summary import Summary

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"


def again(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Give a summary with its points' correlations, and what is to be said of them, anew."""
    told = {row["note"] for row in summary["correlations"]}
    found = [asdict(row) | row.to_json() for row in correlations(Summary.from_json(summary).points)]
    notes = list(dict.fromkeys(row["note"] for row in found))
    others = [remark for remark in summary["remarks"] if remark not in told]
    return {**summary, "correlations": found, "remarks": [*notes, *others]}


def main() -> None:
    """Write every summary with its correlations anew."""
    for path in sorted(RESULTS.glob("*/summary.json")):
        summary = again(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(json.dumps(summary, indent=1), encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
