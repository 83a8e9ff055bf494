"""Tokens a second of evaluating every subset, beside a plain PyTorch loop on the same batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.adapters import write_adapters
from benchmarks.measure import call, interleaved, ratio
from benchmarks.plain import evaluate_subsets_plainly
from benchmarks.result import Result, Target
from superpose import load
from superpose.data.prompt import Example, Prompt
from superpose.data.questions import DOMAINS, generate
from superpose.measure.batches import BATCH_TOKENS
from superpose.measure.domain_test import DomainTest
from superpose.measure.sweep import evaluate_subsets, weightings
from superpose.model import SuperposedModel
from superpose.model.base_model import load_base

__all__ = ["SMOLLM2", "measure"]

SMOLLM2 = {
    "model.layers.{layer}.self_attn.q_proj": (576, 576),
    "model.layers.{layer}.self_attn.k_proj": (192, 576),
    "model.layers.{layer}.self_attn.v_proj": (192, 576),
    "model.layers.{layer}.self_attn.o_proj": (576, 576),
    "model.layers.{layer}.mlp.down_proj": (576, 1536),
}
"""SmolLM2-135M's targets in the demo; 30 layers."""


def measure(repeats: int = 3, rows: int = 8, base: str = "smollm2") -> Result:
    """Base, singles, pairs and the sum of all three, each on the three domains of the demo."""
    model = load_base(base)
    prompt = Prompt(model.tokenizer, max_tokens=96)
    tests = {name: prompt.encode_all(generate(name, 1, rows, seed=0)[1]) for name in DOMAINS}
    with TemporaryDirectory() as folder:
        paths = write_adapters(Path(folder), "abc", SMOLLM2, layers=30, rank=4)
        adapters = [load(path) for path in paths]
    points = weightings("abc", [1.0, 1.0, 1.0])
    vectors = [point.vector for point in points]

    asked = {name: DomainTest(examples) for name, examples in tests.items()}

    def ours() -> list[float]:
        with SuperposedModel(model.model, adapters) as superposed:
            return [each.score.nll for each in evaluate_subsets(superposed, points, asked)]

    def plainly() -> list[float]:
        return evaluate_subsets_plainly(model.model, adapters, vectors, tests, BATCH_TOKENS)

    def base_alone() -> list[float]:
        nothing = [[0.0] * len(adapters)] * len(points)
        return evaluate_subsets_plainly(model.model, adapters, nothing, tests, BATCH_TOKENS)

    timings = interleaved(
        {
            "superpose, all subsets": lambda: call(ours),
            "plain PyTorch loop, sums merged in": lambda: call(plainly),
            "as many passes of the bare base": lambda: call(base_alone),
        },
        repeats,
    )
    own, plain, bare = timings.values()
    tokens = len(points) * _tokens(tests)
    return Result(
        "evaluation",
        "How many tokens a second does the evaluation of all subsets see, beside a plain PyTorch "
        f"loop with the same batches that merges each sum into the base ({rows} test rows of each "
        f"of the demo's three domains, {base}, base + 3 singles + 3 pairs + 1 triple)?",
        timings,
        (
            Target("tokens/s, superpose / plain loop", ratio(plain, own), ">=", 0.95),
            Target("tokens/s, superpose / bare base without adapters", ratio(bare, own)),
            Target("tokens/s, superpose", tokens / own.median),
            Target("tokens/s, plain loop", tokens / plain.median),
            Target(
                "largest difference of a score, nats",
                float(np.abs(np.subtract(ours(), plainly())).max()),
                "<=",
                1e-3,
            ),
        ),
    )


def _tokens(tests: Mapping[str, Sequence[Example]]) -> int:
    return sum(example.length for rows in tests.values() for example in rows)
