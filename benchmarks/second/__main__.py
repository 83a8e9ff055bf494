"""The second tournament, step by step.

    python -m benchmarks.second train --out runs/second    # the adapters
    python -m benchmarks.second measure --out runs/second  # their sums, on both kinds of rows
    python -m benchmarks.second match --out runs/second    # pairs of adapters of one norm
    python -m benchmarks.second sign --out runs/second     # one pair, trained longer and faster
    python -m benchmarks.second nine --out runs/second     # nine adapters, for their intervals
    python -m benchmarks.second rivals --out runs/second   # what two rivals read, of one seed
    python -m benchmarks.second judge --out runs/second    # the record, and docs/prediction.md
    python -m benchmarks.second again                      # the record, from its own row losses

Hours of two cores; every step goes on where it was stopped, and leaves alone the seeds that are on
record: `judge` takes those from there. The question sets lie outside the
repository: `--data FOLDER`, by default ../shared/data beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.prediction.steps import do_step
from benchmarks.second.adapters import train_missing
from benchmarks.second.judge import again, judge
from benchmarks.second.matched import match_missing
from benchmarks.second.measure import measure_missing
from benchmarks.second.nine import nine_missing
from benchmarks.second.rivals import rival_missing
from benchmarks.second.settings import second_field
from benchmarks.second.signs import sign_missing

STEPS = {
    "train": train_missing,
    "measure": measure_missing,
    "match": match_missing,
    "sign": sign_missing,
    "nine": nine_missing,
    "rivals": rival_missing,
    "judge": judge,
    "again": again,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one step; the exit code."""
    return do_step("python -m benchmarks.second", STEPS, "runs/second", second_field, arguments)


if __name__ == "__main__":
    sys.exit(main())
