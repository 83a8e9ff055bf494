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
from superpose.measure.batches import BATCH_TOKENS
from superpose.measure.choice_score import ChoiceScore
from superpose.measure.exact_match import ExactMatch
from superpose.measure.prefix import prefix_batches, prefix_nll
from superpose.statistics import perplexity_interval

__all__ = ["Score", "interval_of", "score"]


@dataclass(frozen=True)
class Score:
    """Negative log-likelihoods of a test set's answers.

    row_nll: each row's sum in nats. row_tokens: its number of answer tokens. choices, match: of the
    rows that have choices, and of the answers that were said; None where there are none.
    """

    row_nll: tuple[float, ...]
    row_tokens: tuple[int, ...]
    choices: ChoiceScore | None = None
    match: ExactMatch | None = None

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
        choices = [score.choices for score in scores if score.choices is not None]
        matches = [score.match for score in scores if score.match is not None]
        return cls(
            tuple(nll for score in scores for nll in score.row_nll),
            tuple(tokens for score in scores for tokens in score.row_tokens),
            ChoiceScore.union(choices) if choices else None,
            ExactMatch.union(matches) if matches else None,
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
