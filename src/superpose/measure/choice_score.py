"""How often a model prefers the right choice, and says the right answer, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from superpose.data.choices import ChoiceQuestion
from superpose.errors import BadInput
from superpose.measure.choices import choice_nll
from superpose.measure.exact_match import ExactMatch
from superpose.statistics import wilson
from superpose.statistics.bootstrap import Interval

__all__ = ["ACCURACY", "ChoiceScore", "accuracy_figures", "choice_score"]

ACCURACY = (
    *("choice_questions", "accuracy", "accuracy_low", "accuracy_high", "accuracy_per_token"),
    *("chance", "acc", "acc_norm", "exact_match", "exact_match_low", "exact_match_high"),
)
"""Names of the figures: shares of questions; low and high are 95 % Wilson intervals; acc and
acc_norm are lm-evaluation-harness's."""

Figures = tuple[tuple[float, ...], ...]
Counts = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ChoiceScore:
    """Likelihoods of the choices of Q questions, each with C of its own.

    nll: nats of each choice, end-of-text included. end: nats of the end-of-text alone. tokens: of
    each choice, end included. characters: of each choice's text. right: the answer's place.

    Raises BadInput without questions, or where a likelihood is not finite.
    """

    nll: Figures
    end: Figures
    tokens: Counts
    characters: Counts
    right: tuple[int, ...]

    def __post_init__(self) -> None:
        parts = self.nll, self.end, self.tokens, self.characters
        shapes = {tuple(map(len, part)) for part in parts}
        if not self.right or len(shapes) > 1 or len(self.right) != len(self.nll):
            raise BadInput("a score of choices needs questions, each with all its choices")
        if not all(np.isfinite(of).all() for of in (*self.nll, *self.end)):
            raise BadInput(
                "the model's likelihoods of choices are not finite",
                hint="An adapter that large breaks the model: train with a lower learning rate, "
                "or add with smaller task weights.",
            )

    @property
    def questions(self) -> int:
        """How many questions have choices."""
        return len(self.right)

    @property
    def chance(self) -> float:
        """What blind guessing gives: the mean of 1 / C."""
        return float(np.mean([1 / len(of) for of in self.nll]))

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Where the right choice is the likeliest as a whole: (Q,). Of equals the first counts."""
        return self._hits(lambda nll, end, tokens, letters: nll)

    @property
    def token_hits(self) -> NDArray[np.bool_]:
        """Where the right choice is the likeliest a token: (Q,)."""
        return self._hits(lambda nll, end, tokens, letters: nll / tokens)

    @property
    def accuracy(self) -> float:
        """The share of questions whose right choice is the likeliest."""
        return float(self.hits.mean())

    @property
    def accuracy_per_token(self) -> float:
        """The share of questions whose right choice is the likeliest a token."""
        return float(self.token_hits.mean())

    @property
    def acc(self) -> float:
        """What lm-evaluation-harness calls acc: the end-of-text does not count."""
        return float(self._hits(lambda nll, end, tokens, letters: nll - end).mean())

    @property
    def acc_norm(self) -> float:
        """What lm-evaluation-harness calls acc_norm: as `acc`, a character of the choice's text."""
        return float(self._hits(lambda nll, end, tokens, letters: (nll - end) / letters).mean())

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(float(self.hits.sum()), self.questions)

    @property
    def token_interval(self) -> Interval:
        """Wilson's 95 % interval of the accuracy per token."""
        return wilson(float(self.token_hits.sum()), self.questions)

    @classmethod
    def union(cls, scores: Iterable[Self]) -> Self:
        """The score on all questions of several test sets."""
        parts = [tuple(vars(score).values()) for score in scores]
        return cls(*(sum(part, ()) for part in zip(*parts, strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Give the fields by name, nats to six decimals."""
        short = {name: [[round(x, 6) for x in of] for of in getattr(self, name)]
                 for name in ("nll", "end")}  # fmt: skip
        return vars(self) | short

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave. Raises KeyError or TypeError for anything else."""
        lists = ("nll", "end", "tokens", "characters")
        nested: dict[str, Any] = {name: tuple(map(tuple, content[name])) for name in lists}
        return cls(**nested, right=tuple(content["right"]))

    def _hits(self, of: Callable[..., NDArray[np.float64]]) -> NDArray[np.bool_]:
        picked = [
            int(np.argmin(of(*map(np.asarray, each))))
            for each in zip(self.nll, self.end, self.tokens, self.characters, strict=True)
        ]
        return np.asarray(picked) == np.asarray(self.right)


def choice_score(
    model: Any,
    questions: Sequence[ChoiceQuestion],
    *,
    progress: Callable[[int], None] | None = None,
) -> ChoiceScore:
    """Score a model, at task weights that all questions share, on their choices.

    progress: called with the questions done.
    """
    found = choice_nll(model, questions, progress=progress)
    nll, end = (
        tuple(tuple(of[: len(q.choices)].tolist()) for of, q in zip(part, questions, strict=True))
        for part in found
    )
    tokens = tuple(tuple(map(len, question.choices)) for question in questions)
    characters = tuple(question.characters for question in questions)
    return ChoiceScore(nll, end, tokens, characters, tuple(q.right for q in questions))


def accuracy_figures(choices: ChoiceScore | None, match: ExactMatch | None) -> Mapping[str, Any]:
    """Give figures as `eval --json` and a study's table have them; None where there are none."""
    figures: dict[str, Any] = dict.fromkeys(ACCURACY)
    if choices is not None:
        low, high = choices.interval
        figures |= {
            "choice_questions": choices.questions,
            "accuracy": choices.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "accuracy_per_token": choices.accuracy_per_token,
            "chance": choices.chance,
            "acc": choices.acc,
            "acc_norm": choices.acc_norm,
        }
    if match is not None:
        low, high = match.interval
        figures |= {"exact_match": match.share, "exact_match_low": low, "exact_match_high": high}
    return {k: round(x, 6) if isinstance(x, float) else x for k, x in figures.items()}
