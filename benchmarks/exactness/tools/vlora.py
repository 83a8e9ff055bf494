"""vlora-dev: `vlora merge`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.exactness.protocol import Task, Tool, Way
from benchmarks.exactness.tools.command import run_click

__all__ = ["VLORA"]


def _merge(method: str, task: Task) -> Path:
    from vlora.cli import cli

    weights = ",".join(f"{weight:g}" for weight in task.weights)
    options = ["--method", method, f"--weights={weights}"]
    if method == "dare":
        options += ["--seed", "0"]
    run_click(cli, ["merge", *task.adapters, "-o", task.out, *options])
    return Path(task.out)


def _way(method: str, aim: str) -> Way:
    call = f"vlora merge A B -o OUT --method {method} --weights 1,0.5"
    return Way(method, call, "adapter", False, partial(_merge, method), aim)


VLORA = Tool(
    "vlora-dev",
    "vlora-dev",
    (
        _way("average", "adds the factors, not the deltas; called task arithmetic there"),
        _way("ties", "keeps the larger half of each factor's entries, those with the majority"),
        _way("dare", "drops half of each factor's entries at random and doubles the others"),
    ),
)
