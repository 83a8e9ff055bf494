"""soup-cli: `soup adapters arithmetic`, an expression over adapters."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.exactness.protocol import Task, Tool, Way
from benchmarks.exactness.tools.command import run_command

__all__ = ["SOUP"]


def _arithmetic(task: Task, *options: str) -> Path:
    out = Path(task.out)
    # soup takes relative paths below the folder it is run in.
    folder = Path(os.path.commonpath([*task.adapters, task.out]))
    names = [f"a{number}" for number in range(len(task.adapters))]
    terms = [f"{weight:+g}*{name}" for weight, name in zip(task.weights, names, strict=True)]
    mapped = []
    for name, path in zip(names, task.adapters, strict=True):
        mapped += ["--adapter", f"{name}={Path(path).relative_to(folder)}"]
    soup = Path(sys.executable).with_name("soup")
    command = [soup, "adapters", "arithmetic", *mapped, "-o", out.relative_to(folder), *options]
    # Its scan looks for traces of tampering, and random numbers are none of training. An expression
    # that begins with a sign would be read as an option.
    run_command([*command, "--allow-unscanned", "--", " ".join(terms)], folder)
    return out


def _with_rank(task: Task) -> Path:
    return _arithmetic(task, "--rank", str(sum(task.ranks)))


SOUP = Tool(
    "soup-cli",
    "soup-cli",
    (
        Way(
            "arithmetic",
            'soup adapters arithmetic "1*a + 0.5*b" --adapter a=A --adapter b=B -o OUT '
            "--allow-unscanned",
            "adapter",
            False,
            _arithmetic,
            "adds the factors where the ranks are equal, the deltas where they are not",
        ),
        Way(
            "arithmetic --rank",
            'soup adapters arithmetic "1*a + 0.5*b" --adapter a=A --adapter b=B -o OUT '
            "--allow-unscanned --rank (sum of the ranks)",
            "adapter",
            False,
            _with_rank,
        ),
    ),
)
