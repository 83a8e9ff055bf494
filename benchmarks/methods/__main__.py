"""The arena of merge methods, step by step.

    python -m benchmarks.methods contend --out runs/second  # every method on every sum
    python -m benchmarks.methods beside --out runs/second   # what stands beside them
    python -m benchmarks.methods judge --out runs/second    # the record, and docs/methods.md
    python -m benchmarks.methods again                      # the record, from its own row losses

In the folder of the second tournament, whose adapters are trained by
`python -m benchmarks.second train`. Hours of two cores; every step goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from benchmarks.methods.beside import stand_missing
from benchmarks.methods.contending import contend_missing
from benchmarks.methods.judge import again, judge
from benchmarks.prediction.field import Field
from benchmarks.prediction.settings import DATA
from benchmarks.prediction.workers import add_jobs, jobs_of
from benchmarks.second.settings import SECOND, SOURCES
from superpose.errors import SuperposeError

STEPS = {
    "contend": contend_missing,
    "beside": stand_missing,
    "judge": judge,
    "again": again,
}
READS = {"judge", "again"}
"""Steps that write nothing into the folder, so that another one may be at work there."""


INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one step; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods")
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
