"""mergekit: adapters are written as BASE+ADAPTER in its YAML file; it writes a whole model."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.exactness.protocol import Task, Tool, Way
from benchmarks.exactness.tools.command import run_click

__all__ = ["MERGEKIT"]

_DENSITY = 0.5


def _merge(method: str, task: Task) -> Path:
    from mergekit.scripts.run_yaml import main

    out = Path(task.out)
    settings = out.with_suffix(".yaml")
    settings.write_text(json.dumps(_settings(method, task)))  # JSON is YAML
    options = ["--lora-merge-cache", out.with_suffix(".cache"), "--random-seed", "0"]
    run_click(main, [settings, out, *options])
    return out


def _settings(method: str, task: Task) -> dict[str, Any]:
    models = []
    for path, weight in zip(task.adapters, task.weights, strict=True):
        parameters = {"weight": weight}
        if method != "task_arithmetic":
            parameters["density"] = _DENSITY
        models.append({"model": f"{task.base}+{path}", "parameters": parameters})
    # Or TIES divides by the sum of the weights, and gives an average.
    shared = {"normalize": False}
    return {
        "merge_method": method,
        "base_model": task.base,
        "models": models,
        "parameters": shared,
        "dtype": "float32",
    }


def _way(method: str, aim: str = "") -> Way:
    density = "" if method == "task_arithmetic" else f", density: {_DENSITY}"
    call = (
        f"mergekit-yaml: merge_method: {method}, base_model: BASE, models: "
        f"BASE+A with weight: 1{density}, ...; normalize: false, dtype: float32"
    )
    return Way(method, call, "model", True, partial(_merge, method), aim)


MERGEKIT = Tool(
    "mergekit",
    "mergekit",
    (
        _way("task_arithmetic"),
        _way(
            "ties",
            "keeps the larger half of the entries, and of those the ones with the majority's sign",
        ),
        _way("dare_linear", "drops half of the entries at random and rescales the others"),
    ),
)
