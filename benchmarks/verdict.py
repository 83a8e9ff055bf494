"""How often `check` takes unrelated adapters for related ones, and where trained ones lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measure import call, interleaved
from benchmarks.result import Result, Target
from benchmarks.training import LORA, TRAINING
from superpose import load
from superpose.adapter import Adapter, Delta
from superpose.data.prompt import Prompt
from superpose.data.questions import generate
from superpose.interference import Pair, borders, check
from superpose.model.base_model import load_base
from superpose.training.train import train

__all__ = ["measure", "share_related", "unrelated"]

SIZES = ((1, 16, 1), (1, 64, 1), (1, 256, 4), (4, 64, 1), (24, 64, 4), (72, 64, 4), (72, 256, 8))
"""Modules, width and rank: the first are those where cosines are farthest from a Gaussian."""

TRAINED = {
    "math": ("math", 0, 1),
    "math, twice as long": ("math", 0, 2),
    "math, another start": ("math", 1, 1),
    "medicine": ("medicine", 0, 1),
    "medicine, another start": ("medicine", 1, 1),
}
"""Domain, seed (start of A, order of rows) and epochs."""

EXPECTED = {
    ("math", "math, twice as long"): (">=", borders.ONE_RUN),
    ("math", "medicine"): ("<=", borders.LARGE),
    ("math, another start", "medicine, another start"): ("<=", borders.LARGE),
    ("math", "math, another start"): (">=", borders.FAINT),
    ("math", "medicine, another start"): ("<=", borders.FAINT),
    ("math, another start", "medicine"): ("<=", borders.FAINT),
}
"""Pairs, and the side of which border their cosine should lie on."""


def measure(repeats: int = 500, rows: int = 64, base: str = "smollm2") -> Result:
    """Pairs of random factors, `repeats` of each size; adapters as `superpose demo` trains them."""
    targets = [
        Target(
            f"% of unrelated pairs taken for related: {modules} modules of {width} x {width}, rank "
            f"{rank}",
            100.0 * share_related(modules, width, rank, repeats),
            "<=",
            3.0,
        )
        for modules, width, rank in SIZES
    ]
    with TemporaryDirectory() as folder:
        trained = dict(_trained(Path(folder), rows, base))
        for two, (sense, border) in EXPECTED.items():
            targets += _targets(two, trained, sense, border)
        both = [trained["math"], trained["medicine"]]
        timings = interleaved(
            {"check of two, read": lambda: call(lambda: check(both).to_json())}, 5
        )
    return Result(
        "verdict",
        f"How often is chance taken for a relation ({repeats} pairs of Gaussian factors each), "
        f"and where do the cosines of trained adapters lie ({rows} rows of the demo's questions, "
        f"{base}, rank 4)?",
        timings,
        tuple(targets),
    )


def unrelated(modules: int, width: int, rank: int, seed: int) -> tuple[Adapter, Adapter]:
    """Two adapters of Gaussian factors."""
    rng = np.random.default_rng([modules, width, rank, seed])

    def factor(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    def adapter(name: str) -> Adapter:
        deltas = {
            f"m{m}": Delta.of(factor(width, rank), factor(rank, width)) for m in range(modules)
        }
        return Adapter(deltas, name)

    return adapter("a"), adapter("b")


def share_related(modules: int, width: int, rank: int, pairs: int) -> float:
    """The share of so many unrelated pairs whose verdict is another than "unrelated"."""
    found = [check(unrelated(modules, width, rank, seed)).pairs[0] for seed in range(pairs)]
    return sum(pair.judgement.verdict != "unrelated" for pair in found) / pairs


def _trained(folder: Path, rows: int, base: str) -> Iterator[tuple[str, Adapter]]:
    model = load_base(base)
    prompt = Prompt(model.tokenizer, max_tokens=96)
    for number, (name, (domain, seed, epochs)) in enumerate(TRAINED.items()):
        examples = prompt.encode_all(generate(domain, rows, 1, seed=0)[0])
        settings = replace(TRAINING, epochs=epochs)
        out = folder / str(number)
        train(model, examples, out, lora=LORA, training=settings, seed=seed)
        yield name, load(out)


def _targets(
    two: tuple[str, str], trained: Mapping[str, Adapter], sense: str, border: float
) -> list[Target]:
    pair: Pair = check([trained[name] for name in two]).pairs[0]
    what = f"{two[0]} + {two[1]}"
    return [
        Target(f"cosine: {what} ({pair.judgement.verdict})", pair.cosine, sense, border),
        Target(f"its multiple of the floor: {what}", pair.multiple),
        Target(
            f"of {len(pair.modules)} modules with a positive cosine: {what}",
            pair.agreement.positive_modules,
        ),
        Target(f"overlap of outputs / chance: {what}", pair.output_overlap / pair.output_chance),
        Target(f"overlap of inputs: {what}", pair.input_overlap),
    ]
