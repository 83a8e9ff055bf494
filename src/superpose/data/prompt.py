"""From a row to token ids: question and answer, with the border between them known.

The two parts are tokenised apart and joined, so that no token straddles the border and the
answer's tokens are the same whatever the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.data.choices import ChoiceQuestion, right_choice
from superpose.data.domain import Row
from superpose.errors import BadInput

__all__ = ["DEFAULT_TEMPLATE", "Example", "Prompt"]

DEFAULT_TEMPLATE = "Question: {question}\nAnswer:"


@dataclass(frozen=True)
class Example:
    """Token ids of a question (prompt included) and of its answer (end-of-text included).

    cut: the answer was too long; what is left of it has no end-of-text.
    """

    question: tuple[int, ...]
    answer: tuple[int, ...]
    cut: bool = False

    @property
    def length(self) -> int:
        """Tokens that go through the model: the last answer token is only ever predicted."""
        return len(self.question) + len(self.answer) - 1


class Prompt:
    """Turns rows into examples for one tokenizer.

    tokenizer: a transformers tokenizer. max_tokens: the longest question plus answer, None for
    no limit; a longer answer is cut, and a question that leaves the answer no room has no example.
    template: the text before the answer, with `{question}` in it.
    """

    def __init__(
        self, tokenizer: Any, *, max_tokens: int | None, template: str = DEFAULT_TEMPLATE
    ) -> None:
        if "{question}" not in template:
            raise BadInput(f"the template {template!r} has no {{question}} in it")
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.template = template

    def text(self, question: str) -> str:
        """What stands before the answer."""
        return self.template.replace("{question}", question)

    def question_ids(self, question: str) -> tuple[int, ...]:
        """Ids of the prompt, with what the tokenizer puts first and without what it puts last."""
        ids = list(self.tokenizer(self.text(question))["input_ids"])
        if ids and ids[-1] == self.tokenizer.eos_token_id:
            ids.pop()
        return tuple(ids)

    def encode(self, row: Row) -> Example | None:
        """The row's example, cut to `max_tokens`; None where the answer finds no room."""
        question = self.question_ids(row.question)
        answer = self._answer_ids(row.answer)
        room = len(answer) if self.max_tokens is None else self.max_tokens - len(question)
        if room <= 0 or not question:
            return None
        return Example(question, answer[:room], cut=len(answer) > room)

    def encode_choices(self, row: Row) -> ChoiceQuestion | None:
        """The row's question and its choices, each as `encode` has an answer, and none cut.

        None where the row has no choices, or one of them finds no room (cut choices may be alike)
        or, empty, has no token.
        """
        question = self.question_ids(row.question)
        choices = tuple(map(self._answer_ids, row.choices))
        longest = len(question) + max(map(len, choices), default=0)
        if not choices or not all((question, *choices)) or longest > (self.max_tokens or longest):
            return None
        return ChoiceQuestion(
            question,
            choices,
            right_choice(row.choices, row.answer),
            tuple(max(1, len(text)) for text in row.choices),
            ended=self.tokenizer.eos_token_id is not None,
        )

    def _answer_ids(self, answer: str) -> tuple[int, ...]:
        """Ids of an answer: a space before it, end-of-text behind it."""
        ids = list(self.tokenizer(" " + answer, add_special_tokens=False)["input_ids"])
        if self.tokenizer.eos_token_id is not None:
            ids.append(self.tokenizer.eos_token_id)
        return tuple(ids)

    def encode_all(self, rows: Sequence[Row], where: object = None) -> list[Example]:
        """The examples of rows that are known to fit. Raises BadInput for one that does not."""
        examples = []
        for row in rows:
            example = self.encode(row)
            if example is None:
                raise BadInput(
                    f"a question leaves its answer no room within {self.max_tokens} tokens: "
                    f"{row.question[:60]!r}",
                    where=where,
                    hint="Allow more tokens a row, or leave the row out.",
                )
            examples.append(example)
        return examples

    def fitting(self, rows: Iterable[Row]) -> list[Row]:
        """The rows whose question leaves room for at least one token of the answer."""
        return [row for row in rows if self.encode(row) is not None]
