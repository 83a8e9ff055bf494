"""The second tournament, step by step.

    python -m benchmarks.second train --out runs/second    # the adapters
    python -m benchmarks.second measure --out runs/second  # their sums, on both kinds of rows
    python -m benchmarks.second match --out runs/second    # pairs of adapters of one norm
    python -m benchmarks.second sign --out runs/second     # one pair, trained longer and faster
    python -m benchmarks.second judge --out runs/second    # the record, and docs/prediction.md
    python -m benchmarks.second again                      # the record, from its own row losses

Hours of two cores; every step goes on where it was stopped. The question sets lie outside the
repository: `--data FOLDER`, by default ../shared/data beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from benchmarks.prediction.field import Field
from benchmarks.prediction.settings import DATA
from benchmarks.prediction.workers import add_jobs, jobs_of
from benchmarks.second.adapters import train_missing
from benchmarks.second.judge import again, judge
from benchmarks.second.matched import match_missing
from benchmarks.second.measure import measure_missing
from benchmarks.second.settings import SECOND, SOURCES
from benchmarks.second.signs import sign_missing
from superpose.errors import SuperposeError

STEPS = {
    "train": train_missing,
    "measure": measure_missing,
    "match": match_missing,
    "sign": sign_missing,
    "judge": judge,
    "again": again,
}
READS = {"judge", "again"}
"""Steps that write nothing into the folder, so that another one may be at work there."""

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one step; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.second")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--out", type=Path, default=Path("runs/second"), help="its folder")
    parser.add_argument("--data", type=Path, default=DATA, help="the question sets")
    add_jobs(parser)
    asked = parser.parse_args(arguments)
    field = Field(asked.out, data=asked.data, tournament=SECOND, sources=SOURCES)
    try:
        with nullcontext() if asked.step in READS else field.claimed():
            STEPS[asked.step](field, jobs_of(asked))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except SuperposeError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
