"""A record as it stands in a file: which of its columns are the question and which the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from superpose.data.choices import json_list, read_choices, whole_text
from superpose.data.messages import Message, as_text, is_conversation, read_conversation
from superpose.errors import BadInput

__all__ = ["USUAL", "Columns", "fields_of"]

Columns: TypeAlias = tuple[str, str | None, str]
"""Names of the columns of questions, answers and choices; None where answers are not wanted."""

USUAL = ("question", "answer")
"""The columns of question and answer unless others are named."""

_WHOLE = ("messages", "conversations")
_PAIR = ("prompt", "completion")
_UNREAD = ("chat_template_kwargs", "images", "image", "videos", "audio")


def fields_of(record: object, columns: Columns) -> dict[str, Any]:
    """Give the fields of a record's `Row`.

    A question column holds a text, or a list of messages: a whole conversation, or with an answer
    column of text or of one message what stands before the answer. With the usual columns' names,
    `messages` (or `conversations`) and `prompt` with `completion` serve too; two texts of these
    are joined as they stand.

    Raises BadInput for a record that has none of it, and as reading messages and choices does.
    """
    if not isinstance(record, Mapping):
        raise BadInput("not a JSON object")
    question, answer, choices = columns
    offered = read_choices(record, choices)
    if question == USUAL[0] and answer in (USUAL[1], None) and question not in record:
        for column in _WHOLE:
            if record.get(column) is not None:
                return _of_messages(read_conversation(record[column], column), record, offered)
        if {*_PAIR} & {*record}:
            asked, answering = _PAIR
            return _of_pair(record, asked, answer and answering, offered, as_given=True)
    return _of_pair(record, question, answer, offered, as_given=False)


def _of_pair(
    record: Mapping[str, Any],
    question: str,
    answer: str | None,
    choices: tuple[str, ...],
    *,
    as_given: bool,
) -> dict[str, Any]:
    """Read a question and its answer. as_given: two texts are one, with nothing between them."""
    if is_conversation(record.get(question)):
        messages = json_list(record[question])
        assert isinstance(messages, list | tuple)
        if answer is None or record.get(answer) is None:
            return _of_messages(read_conversation(messages, question), record, choices)
        whole = [*messages, *_answering(record, answer)]
        return _of_messages(read_conversation(whole, question), record, choices)
    texts = [_text(record, question), "" if answer is None else _text(record, answer)]
    if not as_given:
        texts = [text.strip() for text in texts]
    return {"question": texts[0], "answer": texts[1], "choices": choices, "joined": as_given}


def _answering(record: Mapping[str, Any], column: str) -> list[Any]:
    """Give the one message that answers: as it stands, or of a text."""
    found = json_list(record[column])
    if not is_conversation(found):
        return [{"role": "assistant", "content": _text(record, column)}]
    assert isinstance(found, list | tuple)
    if len(found) != 1:
        raise BadInput(
            f"{len(found)} messages under {column!r}, and an answer is one assistant turn",
            hint="Give the turns before the last as a part of the question.",
        )
    return list(found)


def _of_messages(
    messages: tuple[Message, ...], record: Mapping[str, Any], choices: tuple[str, ...]
) -> dict[str, Any]:
    for name in _UNREAD:
        if record.get(name):
            raise BadInput(f"a conversation with `{name}`, which is not read: text alone is")
    tools = json_list(record.get("tools")) or ""
    return {
        "question": as_text(messages[:-1]),
        "answer": messages[-1].content.strip(),
        "choices": choices,
        "messages": messages,
        "tools": tools and json.dumps(tools, ensure_ascii=False),
    }


def _text(record: Mapping[str, Any], column: str) -> str:
    text = record.get(column)
    if not isinstance(text, str) or not text.strip():
        found = ", ".join(sorted(map(str, record))) or "nothing"
        raise BadInput(
            f"no text under {column!r} (it has: {found})",
            hint="Name the columns of questions and answers: --question NAME --answer NAME, in "
            "Python and in a study file question and answer. Read without names are question and "
            "answer, messages, and prompt and completion. What asks for no answers (add --method "
            "regmean or ssr, statistics) takes questions alone with --answer ''.",
        )
    return whole_text(text, column)
