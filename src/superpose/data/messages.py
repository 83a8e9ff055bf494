"""Conversations as they stand in a row: turns of a role and a text, an assistant turn last."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.data.choices import json_list, whole_text
from superpose.errors import BadInput

__all__ = ["CALLS", "Message", "as_text", "is_conversation", "read_conversation"]

ASSISTANT = "assistant"

CALLS = ("tool_calls", "function_call")
"""Keys of a message that calls tools in place of saying something, or beside it."""

_ROLES = {"human": "user", "gpt": ASSISTANT}
"""What ShareGPT's files, with `from` and `value`, call roles."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    content: its text; of several parts of text they are joined. more: JSON of whatever else the
    message holds (`name`, `tool_calls`, ...), which a chat template may use; empty for nothing.
    """

    role: str
    content: str
    more: str = ""

    def to_template(self) -> dict[str, Any]:
        """Give what a chat template is given."""
        return {"role": self.role, "content": self.content, **json.loads(self.more or "{}")}

    @property
    def tools_in_it(self) -> bool:
        """Whether it calls tools or is what one of them gave back."""
        called = any(f'"{key}"' in self.more for key in CALLS)
        return called or self.role not in {"system", "developer", "user", ASSISTANT}


def is_conversation(value: object) -> bool:
    """Whether a value of a row is a list of messages, well-formed or not."""
    held = json_list(value)
    return isinstance(held, Sequence) and any(
        isinstance(one, Mapping) and bool({"role", "from"} & set(one)) for one in held
    )


def read_conversation(value: object, column: str) -> tuple[Message, ...]:
    """Read messages up to the last assistant turn, which is the answer, and at least one before it.

    Turns behind the last assistant turn are no part of a question and its answer, and left out.
    Raises BadInput, naming the message, for one without a role or a text, for parts that are no
    text, and for an answer that calls tools or is empty.
    """
    held = json_list(value)
    if not isinstance(held, Sequence) or isinstance(held, str):
        raise BadInput(f"no list of messages under {column!r}: {type(held).__name__}")
    messages = [
        _message(one, f"message {n} under {column!r}") for n, one in enumerate(held, start=1)
    ]
    turns = [n for n, message in enumerate(messages) if message.role == ASSISTANT]
    if not turns:
        roles = ", ".join(dict.fromkeys(message.role for message in messages)) or "nothing"
        raise BadInput(f"no assistant turn under {column!r} to be the answer (it has: {roles})")
    last = turns[-1]
    if last == 0:
        raise BadInput(f"nothing before the assistant turn under {column!r} that it would answer")
    answer = messages[last]
    if answer.tools_in_it or not answer.content.strip():
        why = "calls tools" if answer.tools_in_it else "is empty"
        raise BadInput(
            f"the last assistant turn, message {last + 1} under {column!r}, {why}",
            hint="An answer is text: end each conversation with what the assistant says.",
        )
    return tuple(messages[: last + 1])


def as_text(messages: Sequence[Message]) -> str:
    """Give messages as one text: a lone user's is its text, others stand each behind its role."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].content.strip()
    return "\n\n".join(f"{one.role}: {one.content.strip()}" for one in messages)


def _message(value: object, where: str) -> Message:
    if not isinstance(value, Mapping):
        raise BadInput(f"{where} is {type(value).__name__}, not an object of role and content")
    held = {str(key): found for key, found in value.items() if found not in (None, [], {})}
    if "from" in held and "role" not in held:
        held["role"] = _ROLES.get(str(held.pop("from")), str(value["from"]))
        held["content"] = held.pop("value", None)
    role = held.pop("role", None)
    if not isinstance(role, str) or not role.strip():
        raise BadInput(f"{where} has no `role`")
    content = _content(held.pop("content", None), where, empty=any(key in held for key in CALLS))
    try:
        more = json.dumps(held, ensure_ascii=False, sort_keys=True) if held else ""
    except (TypeError, ValueError, RecursionError):
        raise BadInput(f"{where} holds what JSON cannot") from None
    return Message(whole_text(role, "role"), content, whole_text(more, "messages"))


def _content(value: object, where: str, *, empty: bool) -> str:
    """Give a message's text. empty: it may have none."""
    if isinstance(value, str):
        return whole_text(value, "content")
    if value is None and empty:
        return ""
    if not isinstance(value, Sequence):
        raise BadInput(f"{where} has no text under 'content'")
    texts = []
    for part in value:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        text = part.get("text") if isinstance(part, Mapping) else part
        if kind != "text" or not isinstance(text, str):
            raise BadInput(f"{where} holds a part of type {kind!r}; only text is read")
        texts.append(whole_text(text, "content"))
    return "".join(texts)
