"""A benchmark whose work is done in steps on one folder, as a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeAlias

from benchmarks.prediction.field import Field
from benchmarks.prediction.settings import DATA
from benchmarks.prediction.workers import Jobs, add_jobs, jobs_of
from superpose.errors import SuperposeError

__all__ = ["INTERRUPTED", "READS", "Steps", "do_step"]

READS = {"judge", "judge-inputs", "again", "count", "page"}
"""Steps that write nothing into the folder, so that another one may be at work there."""

INTERRUPTED = 130

Steps: TypeAlias = Mapping[str, Callable[[Field, Jobs], None]]


def do_step(
    program: str,
    steps: Steps,
    folder: str,
    make: Callable[..., Field],
    arguments: Sequence[str] | None = None,
) -> int:
    """Do the step that was asked for; give the exit code.

    program: what is typed before the step. folder: where the work lies unless it is said. make:
    from a folder and `data` to the field of play.
    """
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("step", choices=steps)
    parser.add_argument("--out", type=Path, default=Path(folder), help="its folder")
    parser.add_argument("--data", type=Path, default=DATA, help="the question sets")
    add_jobs(parser)
    asked = parser.parse_args(arguments)
    field = make(asked.out, data=asked.data)
    try:
        with nullcontext() if asked.step in READS else field.claimed():
            steps[asked.step](field, jobs_of(asked))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except SuperposeError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
