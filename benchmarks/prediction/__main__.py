"""Train the tournament's adapters and measure what their sums do to each domain.

    python -m benchmarks.prediction train --out runs/tournament
    python -m benchmarks.prediction measure --out runs/tournament

Hours of two cores; both go on where they were stopped. The question sets lie outside the
repository: `--data FOLDER`, by default ../shared/data beside it. Where other work runs on the
same cores, `--jobs 2` loses less than two threads would.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.prediction.adapters import train_missing
from benchmarks.prediction.field import Field
from benchmarks.prediction.measure import measure_missing
from benchmarks.prediction.settings import DATA
from superpose.errors import SuperposeError

STEPS = {"train": train_missing, "measure": measure_missing}
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one step; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--out", type=Path, default=Path("runs/tournament"), help="its folder")
    parser.add_argument("--data", type=Path, default=DATA, help="the question sets")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes of one thread; 1 is one with all threads"
    )
    asked = parser.parse_args(arguments)
    field = Field(asked.out, data=asked.data)
    try:
        with field.claimed():
            STEPS[asked.step](field, asked.jobs)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except SuperposeError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
