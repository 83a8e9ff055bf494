"""superpose itself, through its command line like any other tool."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.exactness.protocol import Task, Tool, Way
from benchmarks.exactness.tools.command import run_command

__all__ = ["SUPERPOSE"]


def _add(task: Task) -> Path:
    out = Path(task.out)
    named = [f"{path}:{weight:g}" for path, weight in zip(task.adapters, task.weights, strict=True)]
    run_command([sys.executable, "-m", "superpose", "add", *named, "-o", out], out.parent)
    return out


SUPERPOSE = Tool(
    "superpose",
    "superpose",
    (Way("add", "superpose add A:1 B:0.5 -o OUT", "adapter", False, _add),),
)
