"""Questions with choices among the rows that a forecast is made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from superpose.data.domain import sample_rows
from superpose.verbs.notes import note
from superpose.verbs.questions import DomainRows

if TYPE_CHECKING:
    from superpose.data.prompt import Prompt
    from superpose.measure.right_answers import ChoiceRow

__all__ = ["choice_rows"]


def choice_rows(
    read: Sequence[DomainRows], prompt: Prompt, count: int | None = None, seed: int = 0
) -> dict[str, list[ChoiceRow]]:
    """Give the questions with choices among the rows that `encoded` draws, by domain.

    A domain without any is not in it; rows of a domain that has some and lack choices, and
    questions whose choices do not fit whole, are left out, which is said.
    """
    from superpose.measure.right_answers import ChoiceRow

    found = {}
    for domain in read:
        drawn = sample_rows(prompt.fitting(domain.rows), count, seed=seed, where=domain.name)
        if not any(row.choices for row in drawn):
            continue
        encoded = [(row, prompt.encode_choices(row)) for row in drawn]
        held = [ChoiceRow(row, question) for row, question in encoded if question is not None]
        if left_out := len(drawn) - len(held):
            which = f"{left_out} of {len(drawn)} rows have no choices that fit"
            note("note", f"{domain.name}: {which}; right answers are of the others")
        if held:
            found[domain.name] = held
    return found
