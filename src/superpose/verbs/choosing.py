"""Questions with choices among the rows of a forecast, and what is known of their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from superpose.data.domain import sample_rows
from superpose.verbs.notes import note
from superpose.verbs.progress import advancing
from superpose.verbs.questions import DomainRows

if TYPE_CHECKING:
    from superpose.data.choices import ChoiceQuestion
    from superpose.data.prompt import Prompt
    from superpose.landscape.forecast import Forecast
    from superpose.landscape.right_answers import RightAnswers
    from superpose.landscape.right_table import TestShares
    from superpose.measure.right_answers import ChoiceRow
    from superpose.verbs.calibrating import Calibrating
    from superpose.verbs.lots import Metered
    from superpose.verbs.settings import Questions

__all__ = ["ChoicesAsked", "RightFound", "choice_rows", "right_of"]


@dataclass(frozen=True)
class RightFound:
    """Right answers of the domains that have questions with choices.

    answers: on calibration rows. tested: the share that was measured on test rows, by task weights
    and domain.
    """

    answers: tuple[RightAnswers, ...] = ()
    tested: TestShares = field(default_factory=dict)

    def __iter__(self) -> Iterator[RightAnswers]:
        return iter(self.answers)

    def written(self, best: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
        """Give what `predict --json` has of them. best: one weighting more."""
        if not self.answers:
            return []
        from superpose.landscape.right_table import listed_sums, right_json

        more = [] if best is None else [tuple(best.values())]
        sums = [*listed_sums(len(self.answers[0].adapters)), *more]
        return right_json(self.answers, list(dict.fromkeys(sums)), self.tested)

    def in_model(self, model: dict[str, Any]) -> dict[str, Any]:
        """Give the small model of a forecast (`Forecast.to_model`) with right answers in it."""
        right = {one.domain: one.to_model() for one in self.answers}
        domains = [{**d, "right": right.get(d["name"])} for d in model["domains"]]
        return {**model, "domains": domains}


class ChoicesAsked(NamedTuple):
    """Questions with choices, by domain: among the calibration rows, and the test rows."""

    calibration: Mapping[str, Sequence[ChoiceRow]]
    test: Mapping[str, Sequence[ChoiceRow]]

    @classmethod
    def of(cls, ready: Calibrating, tests: Sequence[DomainRows], questions: Questions) -> Self:
        """Give them; where the calibration rows have none, test rows are asked about nothing."""
        asked = choice_rows(ready.read, ready.prompt, questions.rows, questions.seed)
        return cls(asked, choice_rows(tests, ready.prompt) if asked else {})

    @property
    def tokens(self) -> tuple[dict[str, list[ChoiceQuestion]], dict[str, list[ChoiceQuestion]]]:
        """The two as tokens."""
        return _tokens(self.calibration), _tokens(self.test)


def _tokens(rows: Mapping[str, Sequence[ChoiceRow]]) -> dict[str, list[ChoiceQuestion]]:
    return {domain: [one.question for one in held] for domain, held in rows.items()}


def right_of(found: Forecast, asked: ChoicesAsked, how: Metered) -> RightFound:
    """Measure right answers where a forecast measured losses, and of the sums on test rows."""
    from superpose.landscape.right_table import listed_sums
    from superpose.measure.right_answers import right_answers, right_shares, right_work

    rows, held = asked
    if not rows:
        return RightFound()
    advance = advancing(how.progress, "right answers", right_work(found, rows))
    answers = right_answers(how.model, found, rows, progress=advance, meter=how.meter)
    if not held:
        return RightFound(answers)
    sums = listed_sums(len(found.names))
    work = len(sums) * sum(map(len, held.values()))
    advance = advancing(how.progress, "test right answers", work)
    shares = right_shares(how.model, sums, held, progress=advance, meter=how.meter)
    return RightFound(answers, shares)


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
