"""`superpose add` as a whole process, beside the same sum through PEFT."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from safetensors.numpy import load_file

from benchmarks.adapters import GPT2, write_adapters
from benchmarks.measure import interleaved, process, ratio
from benchmarks.result import Result, Target

__all__ = ["largest_difference", "measure", "write_base"]

_WITH_PEFT = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM
base, out, first, *others = sys.argv[1:]
# Named by no bare number: PEFT leaves a layer out of the file when an adapter is called like it.
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), first, "a0")
for number, path in enumerate(others, start=1):
    model.load_adapter(path, f"a{number}")
names = list(model.peft_config)
model.add_weighted_adapter(names, [1.0] * len(names), "sum", combination_type="cat")
model.save_pretrained(out, selected_adapters=["sum"])
"""


def measure(repeats: int = 7) -> Result:
    """Three GPT-2-Small-shaped adapters of rank 4; PEFT needs the base, superpose does not."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        base = write_base(folder / "base")
        adapters = write_adapters(folder, "abc", GPT2, layers=12, rank=4, base=str(base))
        ours, theirs = folder / "ours", folder / "theirs"
        add = [sys.executable, "-m", "superpose", "add", *adapters, "-o", ours, "--force"]
        peft = [sys.executable, "-W", "ignore", "-c", _WITH_PEFT, base, theirs, *adapters]
        timings = interleaved(
            {
                "superpose add A B C -o OUT": lambda: process(add),
                "PEFT add_weighted_adapter cat": lambda: process(peft),
            },
            repeats,
        )
        difference = largest_difference(ours, theirs / "sum")
    own, other = timings.values()
    return Result(
        "add_process",
        "How long does `superpose add` take on three GPT-2-Small-shaped rank-4 adapters, from "
        "start to end of the process, beside PEFT (`cat`: load base and adapters, add, save)?",
        timings,
        (
            Target("PEFT / superpose, times", ratio(other, own), ">=", 10),
            Target("largest relative difference of a delta", difference, "<=", 1e-5),
            Target("PEFT's peak memory / superpose's", _peaks(other.peak_mb, own.peak_mb)),
        ),
    )


def write_base(path: Path) -> Path:
    """A GPT-2 Small with random weights, as a transformers folder."""
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config()).save_pretrained(path)
    return path


def largest_difference(first: Path, second: Path) -> float:
    """Of two folders' deltas, both with scaling 1: the largest |dW1 - dW2| / |dW2|.

    Raises ValueError where they have different target modules.
    """
    tensors = [load_file(path / "adapter_model.safetensors") for path in (first, second)]
    if different := tensors[0].keys() ^ tensors[1].keys():
        raise ValueError(f"tensors in one of the two alone: {sorted(different)[:3]}")
    worst = 0.0
    for key in tensors[1]:
        if key.endswith("lora_A.weight"):
            one, two = (each[key.replace("lora_A", "lora_B")] @ each[key] for each in tensors)
            worst = max(worst, float(np.linalg.norm(one - two) / np.linalg.norm(two)))
    return worst


def _peaks(theirs: float | None, ours: float | None) -> float:
    return theirs / ours if theirs and ours else float("nan")
