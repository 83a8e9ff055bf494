"""Score a model on a domain: conditional perplexity of the answers, tokens counted.

Perplexity = exp(mean negative log-likelihood of the answer tokens given the question),
weighted by tokens (DESIGN, formula 8). Scores keep each row's own sum, so that intervals can
be bootstrapped over questions and scores of several domains joined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.measure.prefix import prefix_batches, prefix_nll
from superpose.statistics import perplexity_interval

__all__ = ["Score", "interval_of", "score"]

BATCH_TOKENS = 1024
"""Tokens a batch: enough to fill two cores, little enough to stay in their caches."""


@dataclass(frozen=True)
class Score:
    """Negative log-likelihoods of a test set's answers.

    row_nll: each row's sum in nats. row_tokens: its number of answer tokens.
    """

    row_nll: tuple[float, ...]
    row_tokens: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.row_nll or len(self.row_nll) != len(self.row_tokens):
            raise BadInput("a score needs rows, each with its tokens")
        if not all(map(math.isfinite, self.row_nll)):
            raise BadInput(
                "the model's likelihoods are not finite",
                hint="An adapter that large breaks the model: train with a lower learning rate, "
                "or add with smaller task weights.",
            )

    @property
    def tokens(self) -> int:
        """Answer tokens in all."""
        return sum(self.row_tokens)

    @property
    def nll(self) -> float:
        """Mean negative log-likelihood in nats an answer token."""
        return math.fsum(self.row_nll) / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(nll); infinity where that overflows."""
        return math.exp(self.nll) if self.nll < 700 else math.inf

    @classmethod
    def union(cls, scores: Iterable[Score]) -> Score:
        """The score on the union of several test sets."""
        scores = list(scores)
        return cls(
            tuple(nll for score in scores for nll in score.row_nll),
            tuple(tokens for score in scores for tokens in score.row_tokens),
        )


def interval_of(score: Score, *, seed: int = 0) -> tuple[float | None, float | None]:
    """95 % bootstrap interval of the perplexity over questions; nothing for a single one."""
    found = perplexity_interval(score.row_nll, score.row_tokens, seed).perplexity_interval
    return (None, None) if found is None else (round(found[0], 6), round(found[1], 6))


def score(
    model: Any,
    examples: Sequence[Example],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], None] | None = None,
) -> Score:
    """Score `model` on `examples`; progress is called with the rows done in each batch.

    A beginning that a batch's questions share goes through the model once.
    """
    nll = [0.0] * len(examples)
    for batch in prefix_batches(examples, batch_tokens):
        with torch.no_grad():
            sums = prefix_nll(model, [examples[i] for i in batch]).tolist()
        for index, value in zip(batch, sums, strict=True):
            nll[index] = value
        if progress is not None:
            progress(len(batch))
    return Score(tuple(nll), tuple(len(example.answer) for example in examples))
