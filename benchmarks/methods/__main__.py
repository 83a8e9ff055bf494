"""The arena of merge methods, step by step.

    python -m benchmarks.methods play --out runs/second     # all of it, one sum after the other
    python -m benchmarks.methods judge --out runs/second    # the record, and docs/methods.md
    python -m benchmarks.methods contend --out runs/second  # every method on every sum
    python -m benchmarks.methods beside --out runs/second   # what stands beside them
    python -m benchmarks.methods inputs --out runs/second   # what regmean needs of the inputs
    python -m benchmarks.methods judge-inputs --out runs/second
    python -m benchmarks.methods again                      # the records, from their row losses

In the folder of the second tournament, whose adapters are trained by
`python -m benchmarks.second train`, or sum by sum by `play`. Hours of two cores, `inputs` one;
every step goes on where it was stopped. `play` and `judge` need no old folder: sums that the record
has are not played again, and are judged with the new ones.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.methods.beside import stand_missing
from benchmarks.methods.contending import contend_missing
from benchmarks.methods.inputs import ask_missing
from benchmarks.methods.judge import again, judge
from benchmarks.methods.judge_inputs import judge_inputs
from benchmarks.methods.playing import play_missing
from benchmarks.prediction.steps import do_step
from benchmarks.second.settings import second_field

STEPS = {
    "play": play_missing,
    "contend": contend_missing,
    "beside": stand_missing,
    "judge": judge,
    "inputs": ask_missing,
    "judge-inputs": judge_inputs,
    "again": again,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one step; the exit code."""
    return do_step("python -m benchmarks.methods", STEPS, "runs/second", second_field, arguments)


if __name__ == "__main__":
    sys.exit(main())
