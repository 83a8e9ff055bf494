"""superpose itself, through its command line like any other tool, and in a model of PEFT's."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.exactness.protocol import Task, Tool, Way
from benchmarks.exactness.tools.command import run_command
from benchmarks.exactness.tools.peft import load

__all__ = ["SUPERPOSE"]


def _run(task: Task, *arguments: object) -> Path:
    out = Path(task.out)
    named = [f"{path}:{weight:g}" for path, weight in zip(task.adapters, task.weights, strict=True)]
    run_command([sys.executable, "-m", "superpose", *arguments, *named, "-o", out], out.parent)
    return out


def _add(task: Task) -> Path:
    return _run(task, "add")


def _add_with_base(task: Task) -> Path:
    return _run(task, "add", "--base", task.base)


def _bake(task: Task) -> Path:
    return _run(task, "bake", task.base)


def _in_peft(task: Task) -> Path:
    from superpose.peft import add_weighted_adapter

    model, names = load(task)
    add_weighted_adapter(model, names, list(task.weights), "sum")
    model.save_pretrained(task.out, selected_adapters=["sum"])
    return Path(task.out, "sum")


SUPERPOSE = Tool(
    "superpose",
    "superpose",
    (
        Way("add", "superpose add A:1 B:0.5 -o OUT", "adapter", False, _add),
        Way(
            "add --base",
            "superpose add A:1 B:0.5 --base BASE -o OUT",
            "adapter",
            True,
            _add_with_base,
        ),
        Way("bake", "superpose bake BASE A:1 B:0.5 -o OUT", "model", True, _bake),
        Way(
            "in a PeftModel",
            'superpose.peft.add_weighted_adapter(model, names, weights, "sum"); '
            "model.save_pretrained(OUT, selected_adapters=['sum'])",
            "adapter",
            True,
            _in_peft,
        ),
    ),
)
