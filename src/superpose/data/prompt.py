"""From a row to token ids: question and answer, with the border between them known.

Of a question in a template the two parts are tokenised apart and joined, so that no token straddles
the border and the answer's tokens are the same whatever the question. A conversation, and a prompt
with its completion, are tokenised whole as trl does: the answer begins where the tokens of the
whole leave those of the prompt alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from superpose.data.chat import ChatTemplate, common_start
from superpose.data.choices import ChoiceQuestion, right_choice
from superpose.data.domain import Row
from superpose.data.messages import ASSISTANT, Message
from superpose.errors import BadInput

__all__ = ["AS_IT_STANDS", "CHAT", "DEFAULT_TEMPLATE", "Example", "Prompt"]

DEFAULT_TEMPLATE = "Question: {question}\nAnswer:"

CHAT = "chat"
"""The template that stands for the tokenizer's chat template."""

AS_IT_STANDS = "{question}"
"""The template of a prompt and its completion, which are one text."""

_PROBE = "superpose's own answer"


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
    template: the text before the answer, with `{question}` in it; `chat` for the chat template; or
    empty: each row has what it is made for, conversations the chat template, prompts with
    completions what stands in them, all others `usual`. chat: the chat template; None for the
    tokenizer's own. base: whose tokenizer it is, for messages.

    Raises BadInput for another template, and for `chat` where there is none.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        max_tokens: int | None,
        template: str = "",
        usual: str = DEFAULT_TEMPLATE,
        chat: ChatTemplate | None = None,
        base: str = "the base model",
    ) -> None:
        for text in (template or DEFAULT_TEMPLATE, usual):
            if text != CHAT and "{question}" not in text:
                raise BadInput(
                    f"the template {text!r} has no {{question}} in it",
                    hint=f"Or `{CHAT}` for the tokenizer's chat template, or a .jinja file of one.",
                )
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.template = template
        self.usual = usual
        self.chat = chat or ChatTemplate.of_tokenizer(tokenizer, base)
        self.base = base
        if self.chat is None and CHAT in (template, usual):
            raise self._no_chat_template(f"`{CHAT}` asks for it")

    def template_of(self, row: Row) -> str:
        """Give what a row's text before the answer is made with: `template`, as of a Prompt."""
        if self.template:
            return self.template
        return CHAT if row.messages else AS_IT_STANDS if row.joined else self.usual

    def used(self, rows: Iterable[Row]) -> tuple[str, ...]:
        """Give the templates of rows, each once."""
        return tuple(dict.fromkeys(map(self.template_of, rows)))

    def to_json(self, domains: Mapping[str, Iterable[Row]]) -> dict[str, Any]:
        """Give what results keep of it: the templates of each domain, and which chat template."""
        used = {name: list(self.used(rows)) for name, rows in domains.items()}
        in_chat = self.chat is not None and any(CHAT in of for of in used.values())
        chat = self.chat.to_json() if self.chat is not None and in_chat else None
        return {"templates": used, "chat_template": chat}

    def question_ids(self, question: str) -> tuple[int, ...]:
        """Ids of what stands before the answer to a question that is no row's."""
        return self.asked_ids(Row(question, _PROBE))

    def question_ends(self, question: str) -> tuple[int, ...]:
        """Give the tokens that end an answer to it, as `ends_of` does of a row's."""
        return self.ends_of(Row(question, _PROBE))

    def asked_ids(self, row: Row) -> tuple[int, ...]:
        """Ids of what stands before a row's answer, as a model that is to answer reads it.

        They have what the tokenizer puts first, and not what it puts last.
        """
        template = self.template_of(row)
        if template == CHAT:
            before = _messages(row)[:-1]
            return self._ids(self._chat().written(self.tokenizer, before, row.tools, asking=True))
        if row.joined and template == AS_IT_STANDS:
            return self._opened(row.question)
        if any(message.tools_in_it for message in row.messages):
            raise BadInput(
                f"the template {template!r} cannot show tools: {row.question[:60]!r}",
                hint=f"--template {CHAT} shows a conversation as the tokenizer's template does.",
            )
        return self._opened(template.replace("{question}", _question(row)))

    def ends_of(self, row: Row) -> tuple[int, ...]:
        """Give the tokens, beside the model's own, that end an answer; in chat the turn's."""
        if self.template_of(row) != CHAT:
            return ()
        tail = self._tail(row)
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder}
        return tail[:1] if tail and tail[0] in special else ()

    def encode(self, row: Row) -> Example | None:
        """The row's example, cut to `max_tokens`; None where the answer finds no room."""
        question, (answer,) = self._parts(row, [row.answer])
        room = len(answer) if self.max_tokens is None else self.max_tokens - len(question)
        if room <= 0 or not question:
            return None
        return Example(question, answer[:room], cut=len(answer) > room)

    def encode_choices(self, row: Row) -> ChoiceQuestion | None:
        """The row's question and its choices, each as `encode` has an answer, and none cut.

        None where the row has no choices, or one of them finds no room (cut choices may be alike)
        or, empty, has no token.
        """
        if not row.choices:
            return None
        question, choices = self._parts(row, row.choices)
        longest = len(question) + max(map(len, choices), default=0)
        if not all((question, *choices)) or longest > (self.max_tokens or longest):
            return None
        in_chat = self.template_of(row) == CHAT
        ended = len(self._tail(row)) if in_chat else int(self.tokenizer.eos_token_id is not None)
        return ChoiceQuestion(
            question,
            choices,
            right_choice(row.choices, row.answer),
            tuple(max(1, len(text)) for text in row.choices),
            ended=ended,
        )

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

    def _parts(
        self, row: Row, answers: Sequence[str]
    ) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
        """Ids of the question, and of each of these answers to it."""
        template, asked = self.template_of(row), self.asked_ids(row)
        if template == CHAT:
            wholes = [self._ids(self._whole(row, answer)) for answer in answers]
        elif row.joined and template == AS_IT_STANDS:
            wholes = [self._joined(row, answer) for answer in answers]
        else:
            return asked, tuple(map(self._answer_ids, answers))
        start = common_start([asked, *wholes])
        return asked[:start], tuple(whole[start:] for whole in wholes)

    def _whole(self, row: Row, answer: str) -> str:
        """A conversation with an answer, the row's or another choice, as text."""
        *before, last = _messages(row)
        if answer != row.answer:
            last = replace(last, content=answer)
        return self._chat().written(self.tokenizer, [*before, last], row.tools, asking=False)

    def _joined(self, row: Row, answer: str) -> tuple[int, ...]:
        """A prompt with its completion, or with another choice in its place, and end-of-text."""
        end = self.tokenizer.eos_token or ""
        if answer != row.answer:
            answer = row.answer.replace(row.answer.strip(), answer)
        answer += "" if answer.endswith(end) else end
        return tuple(self.tokenizer(row.question + answer)["input_ids"])

    def _tail(self, row: Row) -> tuple[int, ...]:
        """Ids of what the chat template writes behind a row's answer."""
        return self._ids(self._whole(row, row.answer).rpartition(row.answer.strip())[2])

    def _answer_ids(self, answer: str) -> tuple[int, ...]:
        """Ids of an answer: a space before it, end-of-text behind it."""
        text = " " + answer.strip()
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if self.tokenizer.eos_token_id is not None:
            ids.append(self.tokenizer.eos_token_id)
        return tuple(ids)

    def _opened(self, text: str) -> tuple[int, ...]:
        """Ids with what the tokenizer puts first, and without the end-of-text it may put last."""
        ids = list(self.tokenizer(text)["input_ids"])
        if ids and ids[-1] == self.tokenizer.eos_token_id:
            ids.pop()
        return tuple(ids)

    def _ids(self, text: str) -> tuple[int, ...]:
        """Ids of what a chat template wrote, which has all special tokens in it."""
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _chat(self) -> ChatTemplate:
        if self.chat is None:
            raise self._no_chat_template("the rows are conversations")
        return self.chat

    def _no_chat_template(self, why: str) -> BadInput:
        return BadInput(
            f"{why}, and the tokenizer of {self.base} has no chat template",
            hint="Give one, --template FILE.jinja, such as the chat_template.jinja of the model "
            f'that answers in chats; or ask in plain text: --template "{AS_IT_STANDS}".',
        )


def _question(row: Row) -> str:
    return row.question.strip() if row.joined else row.question


def _messages(row: Row) -> tuple[Message, ...]:
    """A row as messages: its own, or the question and the answer as one turn each."""
    asked = Message("user", _question(row))
    return row.messages or (asked, Message(ASSISTANT, row.answer.strip()))
