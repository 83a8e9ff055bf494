"""A study of 24 cells by two workers of Ray against one: how much quicker, and the same bytes.

Ray runs on this machine as two nodes of one core each, so the figure asks for two idle cores. The
base is a made Llama of a few layers; a worker's start, import and loading of the base are counted.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import superpose
from benchmarks.byte_models import write_byte_llama
from benchmarks.measure import Timing, call
from benchmarks.ray_here import ray_cluster
from benchmarks.result import Result, Target

__all__ = ["measure"]

_QUESTION = "How much quicker is a study of 24 cells on two Ray workers than on one?"

_ROWS = 48

_SEEDS = 4

_SIZES = {
    "num_hidden_layers": 4,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
}
"""Of the base model."""


def measure(repeats: int = 1) -> Result:
    """Run the study by one and by two workers, `repeats` times each."""
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        study = _study(folder)
        ones, twos, differing, cells = [], [], 0, 0
        with ray_cluster() as address, patch.dict(os.environ, {"RAY_ADDRESS": address}):
            for turn in range(repeats):
                outs = [folder / f"{turn}-{workers}" for workers in (1, 2)]
                for out, workers, samples in zip(outs, (1, 2), (ones, twos), strict=True):
                    how = superpose.Execution(executor="ray", workers=workers)
                    samples.append(call(lambda o=out, h=how: superpose.study(study, o, h)))
                first, second = map(_results, outs)
                differing += sum(first.get(name) != content for name, content in second.items())
                cells = sum(
                    f.name != "check.json" for f in (outs[0] / "cells").glob("seed-*/*.json")
                )
    one, two = Timing(tuple(ones)), Timing(tuple(twos))
    targets = (
        Target("cells", cells, ">=", 24),
        Target("one worker's seconds over two workers'", one.median / two.median, ">=", 1.7),
        Target("files of adapters and of rows' losses that differ", differing, "<=", 0),
    )
    return Result("ray_cells", _QUESTION, {"one worker": one, "two workers": two}, targets)


def _study(folder: Path) -> Mapping[str, object]:
    """Write base and questions, and give the study: six cells a seed."""
    write_byte_llama(folder / "base", **_SIZES)
    domains = {}
    for name, sign in (("sums", 1), ("differences", -1)):
        rows = [
            {"question": f"What is {n + 40} and {n % 7}?", "answer": f"{n + 40 + sign * (n % 7)}."}
            for n in range(2 * _ROWS)
        ]
        domains[name] = {"data": str(folder / f"{name}.jsonl")}
        text = "\n".join(map(json.dumps, rows))
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return {
        "name": "cells",
        "base": str(folder / "base"),
        "domains": domains,
        "train_rows": _ROWS,
        "test_rows": 24,
        "calibration_rows": 0,
        "merged": ["epochs", "steps"],
        "seeds": list(range(_SEEDS)),
        "prompt": {"max_tokens": 64},
        "lora": {"rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj"]},
        "training": {"epochs": 5, "learning_rate": 0.002, "batch_size": 8},
    }


def _results(folder: Path) -> dict[str, bytes]:
    """Adapters' weights and rows' losses, which have no clock in them."""
    found = [*folder.rglob("*.safetensors"), folder / "rows.npz"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
