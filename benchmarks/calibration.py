"""What a forecast costs, beside evaluating every subset on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.adapters import write_adapters
from benchmarks.evaluation import SMOLLM2
from benchmarks.measure import Timing, call, interleaved, ratio
from benchmarks.result import Result, Target
from superpose import load
from superpose.adapter import Adapter
from superpose.data.prompt import Example, Prompt
from superpose.data.questions import DOMAINS, generate
from superpose.landscape.forecast import Forecast
from superpose.landscape.sample import Sample
from superpose.landscape.subsets import design_points
from superpose.measure.domain_test import DomainTest
from superpose.measure.lambda_space import forecast
from superpose.measure.sweep import evaluate_subsets, weightings
from superpose.model import SuperposedModel
from superpose.model.base_model import load_base

__all__ = ["measure"]

ADAPTERS = (2, 4, 8)
MOST_SUBSETS = 16
"""Subsets that are evaluated; where there are more, a seeded sample stands for all of them."""

LARGE = 12


def measure(repeats: int = 3, rows: int = 4, base: str = "smollm2") -> Result:
    """Forecast K adapters on K domains, and evaluate all 2^K subsets, for K of ADAPTERS."""
    model = load_base(base)
    prompt = Prompt(model.tokenizer, max_tokens=96)
    names = "abcdefgh"[: max(ADAPTERS)]
    with TemporaryDirectory() as folder:
        paths = write_adapters(Path(folder), names, SMOLLM2, layers=30, rank=4)
        adapters = [load(path) for path in paths]
    domains = {
        name: prompt.encode_all(generate(kind, 1, rows, seed=place)[1])
        for place, (name, kind) in enumerate(zip(names, [*DOMAINS] * len(names), strict=False))
    }
    timings: dict[str, Timing] = {}
    targets: list[Target] = []
    for count in ADAPTERS:
        some = {name: domains[name] for name in names[:count]}
        found, share = _compared(model.model, adapters[:count], some, repeats)
        timings |= found
        calibrated, evaluated = found.values()
        times = ratio(evaluated, calibrated) / share
        targets += [
            Target(
                f"time of so many forward passes a row, {count} adapters",
                2**count / times,
                "<=",
                2 + 2 * count,
            ),
            Target(f"evaluating all subsets / calibrating, {count} adapters", times),
        ]
    large = _large(LARGE)
    timings["all subsets predicted, 12 adapters"] = interleaved(
        {"predicted": lambda: call(large.every_subset)}, repeats
    )["predicted"]
    seconds = timings["all subsets predicted, 12 adapters"].median
    targets.append(Target("seconds to predict 4,096 subsets on 12 domains", seconds, "<=", 1.0))
    return Result(
        "calibration",
        f"What does a forecast cost beside evaluating every subset ({rows} rows of a domain, as "
        f"many domains as adapters, {base}; of 256 subsets {MOST_SUBSETS} are evaluated and stand "
        "for all)?",
        timings,
        tuple(targets),
    )


def _compared(
    model: object,
    adapters: Sequence[Adapter],
    domains: Mapping[str, Sequence[Example]],
    repeats: int,
) -> tuple[dict[str, Timing], float]:
    """Both timings, and the share of all subsets that was evaluated."""
    names = list(domains)
    points = weightings(names, [1.0] * len(names))
    chosen = points
    if len(points) > MOST_SUBSETS:
        picked = np.random.default_rng(0).choice(len(points), MOST_SUBSETS, replace=False)
        chosen = [points[i] for i in sorted(picked)]

    def calibrate() -> Forecast:
        with SuperposedModel(model, adapters) as superposed:  # type: ignore[arg-type]
            return forecast(superposed, names, domains)

    def evaluate() -> list[float]:
        with SuperposedModel(model, adapters) as superposed:  # type: ignore[arg-type]
            tests = {name: DomainTest(examples) for name, examples in domains.items()}
            return [each.score.nll for each in evaluate_subsets(superposed, chosen, tests)]

    label = f"{len(names)} adapters"
    return interleaved(
        {
            f"calibrated, {label}": lambda: call(calibrate),
            f"{len(chosen)} of {len(points)} subsets evaluated, {label}": lambda: call(evaluate),
        },
        repeats,
        warmups=1 if len(names) == ADAPTERS[0] else 0,  # the model is warm then; rounds are minutes
    ), len(chosen) / len(points)


def _large(adapters: int, rows: int = 64) -> Forecast:
    """A forecast of many adapters from losses that are drawn, not measured."""
    rng = np.random.default_rng(0)
    tokens = np.full(rows, 20)
    samples = []
    for domain in range(adapters):
        with_slope, plain = design_points(domain, adapters)
        points = np.array([*with_slope, *plain])
        nll = tokens * rng.uniform(2.0, 3.0, size=(len(points), rows))
        gradient = np.full((len(points), rows, 1, adapters), np.nan)
        gradient[: len(with_slope)] = rng.normal(size=(len(with_slope), rows, 1, adapters))
        samples.append(Sample(points, nll, gradient, tokens, ("all",)))
    names = tuple(map(str, range(adapters)))
    return Forecast(names, names, tuple(samples))
