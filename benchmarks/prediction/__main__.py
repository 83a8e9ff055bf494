"""The tournament of predictors, step by step.

    python -m benchmarks.prediction train --out runs/tournament      # the adapters
    python -m benchmarks.prediction measure --out runs/tournament    # what their sums do
    python -m benchmarks.prediction calibrate --out runs/tournament  # what predictors may look at
    python -m benchmarks.prediction weigh --out runs/tournament      # what tuned weights do
    python -m benchmarks.prediction judge --out runs/tournament      # the record, and its page
    python -m benchmarks.prediction again                            # the record, by its own points
    python -m benchmarks.prediction count                            # its rows, cut answers too
    python -m benchmarks.prediction page                             # the page alone

The first four take hours of two cores and go on where they were stopped; judging takes minutes,
reads only, and judges what is there. The question sets lie outside the
repository: `--data FOLDER`, by default ../shared/data beside it. Where other work runs on the
same cores, `--jobs 2` loses less than two threads would; `--executor slurm|ray` starts the workers
elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.prediction.adapters import train_missing
from benchmarks.prediction.calibrate import calibrate_missing
from benchmarks.prediction.field import Field
from benchmarks.prediction.measure import measure_missing
from benchmarks.prediction.steps import do_step
from benchmarks.prediction.tournament import again, count, play, write
from benchmarks.prediction.weigh import weigh_missing

STEPS = {
    "train": train_missing,
    "measure": measure_missing,
    "calibrate": calibrate_missing,
    "weigh": weigh_missing,
    "judge": play,
    "again": again,
    "count": count,
    "page": write,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one step; the exit code."""
    return do_step("python -m benchmarks.prediction", STEPS, "runs/tournament", Field, arguments)


if __name__ == "__main__":
    sys.exit(main())
