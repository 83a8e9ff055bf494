"""A domain's test rows as tokens, and all that is measured on them of one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from superpose.data.choices import ChoiceQuestion
from superpose.data.domain import Row
from superpose.data.prompt import Example, Prompt
from superpose.measure.choice_score import choice_score
from superpose.measure.evaluate import Score, score
from superpose.measure.exact_match import exact_match

__all__ = ["DomainTest"]


@dataclass(frozen=True)
class DomainTest:
    """A domain's test rows.

    examples: what likelihood is measured on. choices: questions of those that have any. rows,
    prompt and said: what is to be answered greedily, in how many tokens at most; 0 for nothing.
    """

    examples: Sequence[Example]
    choices: Sequence[ChoiceQuestion] = ()
    rows: Sequence[Row] = ()
    prompt: Prompt | None = None
    said: int = 0

    @classmethod
    def of(
        cls, rows: Sequence[Row], prompt: Prompt, where: object = None, *, said: int = 0
    ) -> Self:
        """Encode rows that are known to fit. Raises BadInput for one that does not."""
        questions = map(prompt.encode_choices, rows)
        choices = [question for question in questions if question is not None]
        return cls(prompt.encode_all(rows, where), choices, rows, prompt, said)

    @property
    def without(self) -> int:
        """How many rows have no choices, or none that fit."""
        return len(self.examples) - len(self.choices)

    @property
    def steps(self) -> int:
        """How much `score` tells of: rows, questions with choices, and answers to be said."""
        return len(self.examples) + len(self.choices) + (len(self.rows) if self.said else 0)

    def score(self, model: Any, progress: Callable[[int], None] | None = None) -> Score:
        """Measure a model at task weights that all rows share. progress: called with steps done."""
        found = score(model, self.examples, progress=progress)
        if self.choices:
            found = replace(found, choices=choice_score(model, self.choices, progress=progress))
        if self.said and self.prompt is not None:
            match = exact_match(model, self.prompt, self.rows, self.said, progress=progress)
            found = replace(found, match=match)
        return found
