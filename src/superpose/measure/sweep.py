"""Evaluate a superposed model at many task weights, on several domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from superpose.measure.choice_score import accuracy_figures
from superpose.measure.domain_test import DomainTest
from superpose.measure.evaluate import Score, interval_of
from superpose.model import SuperposedModel

__all__ = ["Evaluation", "Weighting", "evaluate_subsets", "weightings"]


@dataclass(frozen=True)
class Weighting:
    """Task weights with a method's name: `base`, `single` or `sum`.

    weights: adapter name -> task weight; an adapter that is absent has weight 0.
    vector: the same as K numbers in the adapters' order.
    """

    method: str
    weights: Mapping[str, float]
    vector: tuple[float, ...]


@dataclass(frozen=True)
class Evaluation:
    """One weighting on one domain: its score, and the perplexity's 95 % bootstrap interval."""

    weighting: Weighting
    domain: str
    score: Score
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """The keys of `eval --json`, one row."""
        return {
            "method": self.weighting.method,
            "weights": dict(self.weighting.weights),
            "domain": self.domain,
            "nll": self.score.nll,
            "tokens": self.score.tokens,
            "rows": len(self.score.row_nll),
            "perplexity": self.score.perplexity,
            "perplexity_low": self.low,
            "perplexity_high": self.high,
            **accuracy_figures(self.score.choices, self.score.match),
        }


def weightings(
    names: Sequence[str], weights: Sequence[float], *, whole_only: bool = False
) -> list[Weighting]:
    """The base, each adapter alone, and every subset's sum (or the sum of all alone).

    names, weights: the K adapters and their task weights, in one order.
    """
    sizes = {0, 1, len(names)} if whole_only else range(len(names) + 1)
    methods = {0: "base", 1: "single"}
    points = []
    for size in sorted(sizes):
        for chosen in combinations(range(len(names)), size):
            vector = tuple(w if k in chosen else 0.0 for k, w in enumerate(weights))
            held = {_distinct(names, k): weights[k] for k in chosen}
            points.append(Weighting(methods.get(size, "sum"), held, vector))
    return points


def evaluate_subsets(
    model: SuperposedModel,
    points: Sequence[Weighting],
    tests: Mapping[str, DomainTest],
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[Evaluation]:
    """Score every weighting on every domain. seed: of the bootstrap over questions.

    progress: called with the steps done, of each domain its test's `steps` for every weighting.
    """
    results = []
    for point in points:
        with model.at(point.vector) as weighted:
            for domain, test in tests.items():
                found = test.score(weighted, progress)
                results.append(Evaluation(point, domain, found, *interval_of(found, seed=seed)))
    return results


def _distinct(names: Sequence[str], k: int) -> str:
    """The k-th name, with its place where another adapter has the same."""
    return names[k] if list(names).count(names[k]) == 1 else f"{names[k]}#{k + 1}"
