"""Questions with answers to choose from: as they stand in a row, and as token ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.errors import BadInput, listed

__all__ = [
    "ChoiceQuestion",
    "check_choices",
    "json_list",
    "read_choices",
    "right_choice",
    "whole_text",
]

_OPEN = "Without choices a question is open: name the column of choices, or an empty name for none."


@dataclass(frozen=True)
class ChoiceQuestion:
    """Token ids of a question (prompt included) and of each of its C choices, none of them cut.

    choices: with what ends an answer, `ended` tokens: end-of-text where the tokenizer has one, in a
    chat template the end of the turn. right: the answer's place
    among them. characters: (C,) letters of each choice's text, without what stands before it;
    at least 1, because likelihoods are divided by them.
    """

    question: tuple[int, ...]
    choices: tuple[tuple[int, ...], ...]
    right: int
    characters: tuple[int, ...]
    ended: int = 1

    @property
    def chance(self) -> float:
        """How often blind guessing is right."""
        return 1 / len(self.choices)


def check_choices(choices: Sequence[str], answer: str) -> None:
    """Raise BadInput for one choice, two alike, or choices without the answer among them.

    White space around texts does not count. No choices at all are an open question. A wrong choice
    may be empty: published sets hold some, and it has the likelihood of saying nothing.
    """
    if not choices:
        return
    texts = [text.strip() for text in choices]
    if len(texts) == 1:
        raise BadInput(f"a single choice, {texts[0]!r}, is none", hint=_OPEN)
    if twice := [text for text in dict.fromkeys(texts) if texts.count(text) > 1]:
        raise BadInput(f"{listed(twice, form='{!r}')} stands twice among the choices")
    if answer.strip() not in texts:
        held = listed(texts, 5, form="{!r}")
        raise BadInput(
            f"the answer {answer.strip()!r} is not among the choices: {held}",
            hint="An answer is the text of its choice, not its letter or its number.",
        )


def right_choice(choices: Sequence[str], answer: str) -> int:
    """Give the place of the answer among choices that hold it."""
    return [text.strip() for text in choices].index(answer.strip())


def read_choices(record: Mapping[str, Any], column: str) -> tuple[str, ...]:
    """Read the choices of a record, stripped; none where it has no such column or nothing in it.

    A cell of a table holds a list as JSON. Raises BadInput for anything but a list of texts.
    """
    found = json_list(record.get(column)) if column else None
    if found is None or found == "" or (isinstance(found, list | tuple) and not found):
        return ()
    kinds = [type(one).__name__ for one in (found if isinstance(found, list | tuple) else [found])]
    if not isinstance(found, list | tuple) or set(kinds) != {"str"}:
        wrong = next((kind for kind in kinds if kind != "str"), "str")
        raise BadInput(f"no list of texts under {column!r}: {wrong}", hint=_OPEN)
    return tuple(whole_text(text, column).strip() for text in found)


def json_list(value: object) -> object:
    """Give what a cell of a table holds as JSON, where it is a list; any other value as it is."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return value
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return value


def whole_text(text: str, column: str, where: object = None) -> str:
    """Give a text back. Raises BadInput for one that no file can hold."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadInput(f"half a surrogate pair under {column!r} is no text", where=where)
    return text
