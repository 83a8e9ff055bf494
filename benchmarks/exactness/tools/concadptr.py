"""ConcAdptr: `merge_adapters`, static merging of PEFT folders."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.exactness.protocol import Task, Tool, Way

__all__ = ["CONCADPTR"]


def _merge(method: str, task: Task) -> Path:
    from concadptr import merge_adapters

    adapters = {str(number): path for number, path in enumerate(task.adapters)}
    return Path(merge_adapters(adapters, task.out, method=method, weights=list(task.weights)))


def _way(method: str, aim: str) -> Way:
    call = f'merge_adapters({{"a": A, "b": B}}, OUT, method="{method}", weights=[1, 0.5])'
    return Way(method, call, "adapter", False, partial(_merge, method), aim)


CONCADPTR = Tool(
    "concadptr",
    "concadptr",
    (
        _way("linear", "averages the factors: weights are divided by their sum"),
        _way("ties", "averages the factors' larger entries that have the majority's sign"),
        _way("dare", "averages the factors after dropping three in ten entries"),
    ),
)
