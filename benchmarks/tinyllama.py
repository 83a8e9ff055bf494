"""`--rank 16` of TinyLlama's adapters, beside PEFT's `svd` on the modules of one of its layers.

Everything runs in a process of its own with one thread: on a machine that is busy, threads that
wait for each other would be measured and not the work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.adapters import Shapes, write_adapters
from benchmarks.measure import Sample, Timing, call, interleaved, ratio
from benchmarks.result import Result, Target
from superpose import load
from superpose.adapter import Adapter
from superpose.compose import BestRank
from superpose.lowrank import dense

__all__ = ["TINYLLAMA", "against_dense", "measure"]

RANK = 16
LAYERS = 22

TINYLLAMA: Shapes = {
    "model.layers.{layer}.self_attn.q_proj": (2048, 2048),
    "model.layers.{layer}.self_attn.k_proj": (256, 2048),
    "model.layers.{layer}.self_attn.v_proj": (256, 2048),
    "model.layers.{layer}.self_attn.o_proj": (2048, 2048),
    "model.layers.{layer}.mlp.gate_proj": (5632, 2048),
    "model.layers.{layer}.mlp.up_proj": (5632, 2048),
    "model.layers.{layer}.mlp.down_proj": (2048, 5632),
}
"""TinyLlama's shape at 1.1B parameters: 154 modules in 22 layers."""

_ALL = "superpose, 22 layers"
_ONE = "superpose, one layer"
_PEFT = "PEFT svd, one layer"
_REDUCED = "PEFT svd, svd_full_matrices=False, one layer"


def measure(repeats: int = 3) -> Result:
    """Run the work in a process with one thread, and read what it found."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.tinyllama", str(repeats)],
        env=os.environ | threads,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    timings = {
        name: Timing(tuple(Sample(*sample) for sample in samples))
        for name, samples in found["timings"].items()
    }
    whole, peft, reduced = timings[_ALL], timings[_PEFT], timings[_REDUCED]
    return Result(
        "tinyllama",
        f"How much quicker is the compute of `add --rank {RANK}` than PEFT's `svd` on three "
        f"adapters of TinyLlama's shape ({LAYERS} layers, q k v o gate up down, hidden 2048 and "
        f"5632, rank {RANK}, float32, one thread each)? PEFT is measured on the seven modules of "
        f"one layer, and its time taken {LAYERS} times.",
        timings,
        (
            Target(
                f"PEFT svd x {LAYERS} / superpose, times", LAYERS * ratio(peft, whole), ">=", 500
            ),
            Target(
                f"the same with svd_full_matrices=False x {LAYERS} / superpose, times",
                LAYERS * ratio(reduced, whole),
            ),
            Target("PEFT svd / superpose, both on one layer", ratio(peft, timings[_ONE])),
            Target("error above the dense optimum, relative", found["excess"], "<=", 1e-5),
            Target("distance from the dense optimum, relative", found["distance"], "<=", 1e-5),
            Target("PEFT's error above the dense optimum, relative", found["peft_excess"]),
            Target("PEFT's distance from the dense optimum, relative", found["peft_distance"]),
        ),
    )


def against_dense(approximation: np.ndarray, delta: np.ndarray, rank: int) -> tuple[float, float]:
    """Compare with the dense SVD's best approximation, in float64.

    Gives the error above the least one of that rank, relative, and |approximation - best| / |best|.
    """
    U, s, Vt = np.linalg.svd(delta.astype(np.float64), full_matrices=False)
    best = (U[:, :rank] * s[:rank]) @ Vt[:rank]
    least = np.linalg.norm(s[rank:])
    excess = float(np.linalg.norm(delta - approximation) / least - 1)
    return excess, float(np.linalg.norm(approximation - best) / np.linalg.norm(best))


def _work(folder: Path, repeats: int) -> dict[str, Any]:
    """Time everything by turns, then compare one layer's results with the dense SVD."""
    whole = _total(write_adapters(folder / "all", "abc", TINYLLAMA, layers=LAYERS, rank=RANK))
    # The same numbers as the first layer of those.
    paths = write_adapters(folder / "one", "abc", TINYLLAMA, layers=1, rank=RANK)
    one, model = _total(paths), _peft_model(paths)
    BestRank(RANK).of(one)  # the first call loads NumPy's linear algebra
    timings = interleaved(
        {
            _ALL: lambda: call(lambda: BestRank(RANK).of(whole)),
            _ONE: lambda: call(lambda: BestRank(RANK).of(one)),
            _PEFT: lambda: _peft(model, full_matrices=True),
            _REDUCED: lambda: _peft(model, full_matrices=False),
        },
        repeats,
        warmups=0,
    )
    samples = {
        name: [[sample.seconds, sample.cpu] for sample in timing.samples]
        for name, timing in timings.items()
    }
    return {"timings": samples, **_figures(one, model)}


def _figures(one: Adapter, model: Any) -> dict[str, float]:
    """Worst of the modules: superpose against the dense SVD, and PEFT's last sum against it."""
    small = BestRank(RANK).of(one)
    figures = []
    for module, delta in one.items():
        exact, ours = (np.asarray(dense(each.terms), np.float64) for each in (delta, small[module]))
        layer = model.get_submodule(f"base_model.model.{module}")
        theirs = layer.get_delta_weight("sum").detach().numpy()
        figures.append((*against_dense(ours, exact, RANK), *against_dense(theirs, exact, RANK)))
    names = ("excess", "distance", "peft_excess", "peft_distance")
    return dict(zip(names, map(max, zip(*figures, strict=True)), strict=True))


def _total(paths: list[Path]) -> Adapter:
    first, *others = map(load, paths)
    return sum(others, start=first)


def _peft_model(paths: list[Path]) -> Any:
    """Give one layer of TinyLlama, random and with a small vocabulary, with the adapters in it."""
    from peft import PeftModel
    from transformers import LlamaConfig, LlamaForCausalLM

    base = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=2048,
            intermediate_size=5632,
            num_hidden_layers=1,
            num_attention_heads=32,
            num_key_value_heads=4,
            vocab_size=64,
        )
    )
    model = PeftModel.from_pretrained(base, paths[0], adapter_name="a")
    for path, name in zip(paths[1:], "bc", strict=True):
        model.load_adapter(path, adapter_name=name)
    return model


def _peft(model: Any, *, full_matrices: bool) -> Sample:
    """Time one `add_weighted_adapter`; what it made stays, under the name `sum`, until the next."""
    if "sum" in model.peft_config:
        model.delete_adapter("sum")
    options = {"combination_type": "svd", "svd_rank": RANK, "svd_full_matrices": full_matrices}
    return call(lambda: model.add_weighted_adapter([*"abc"], [1.0] * 3, "sum", **options))


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        print(json.dumps(_work(Path(place), int(sys.argv[1]))))
