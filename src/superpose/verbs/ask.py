"""Ask base, each adapter alone, and their weighted sum the same questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from superpose.adapter import sum_or_formula
from superpose.arguments import typed
from superpose.data.domain import Row
from superpose.shown import Column, Framed, Part, Shown, Table
from superpose.verbs.adapters import Weighted
from superpose.verbs.base import Base, base_name_or_none, loaded_base_of
from superpose.verbs.images import no_images
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.prompts import asked_in, prompt_of
from superpose.verbs.settings import TEMPLATE, Loading, TypedSettings, held
from superpose.verbs.weights_file import TaskWeights, loaded_with_table

if TYPE_CHECKING:
    from superpose.measure.answer import Answer

__all__ = ["Answering", "Answers", "ask"]


@dataclass(frozen=True)
class Answering(TypedSettings):
    """How answers are drawn."""

    max_new_tokens: Annotated[int, "Longest answer."] = 64
    temperature: Annotated[float, "0: always the likeliest token."] = 0.0
    template: Annotated[str, TEMPLATE] = ""
    seed: Annotated[int, "Of the sampling, with a temperature."] = 0


@dataclass(frozen=True)
class Answers(Framed, Shown):
    """What each weighting answers to each question. prompt: what questions were asked in."""

    TABLE: ClassVar[str] = "answers"

    base: str
    answers: tuple[Answer, ...]
    prompt: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Give what `ask --json` prints."""
        found = [answer.to_json() for answer in self.answers]
        return {"base": self.base, "prompt": dict(self.prompt), "answers": found}

    def shown(self) -> tuple[Part, ...]:
        """Give each question, and below it what each weighting answers."""
        asked = dict.fromkeys(answer.question for answer in self.answers)
        return tuple(
            Table.of(asking, _COLUMNS, [a for a in self.answers if a.question == asking])
            for asking in asked
        )


_COLUMNS = (
    Column("task weights", lambda answer: sum_or_formula(answer.weighting.weights)),
    Column("answer", "text", prose=True),
)


@typed
def ask(
    base: Base | None,
    adapters: Weighted,
    prompt: str | Sequence[str],
    answering: Answering = Answering(),
    loading: Loading = Loading(),
    *,
    weights: TaskWeights = None,
    progress: Progress | None = None,
) -> Answers:
    """Ask base, each adapter alone, and their weighted sum the same questions.

    base: a name, or a loaded one; None for the adapters' own. adapters: names, each with its task
    weight behind a colon, a mapping of names to weights, or loaded ones. prompt: a question, or
    several. weights: in their place, as `superpose.add` takes them. progress: called with questions
    answered, how many there are, and what is done.

    Raises BadInput, MissingBase and MissingExtra as loading does.
    """
    from superpose.measure.answer import answers
    from superpose.measure.sweep import weightings
    from superpose.model import SuperposedModel

    held(answering, Answering, "answering")
    held(loading, Loading, "loading")
    held(prompt, Sequence, "prompt")
    questions = [prompt] if isinstance(prompt, str) else list(prompt)
    for question in questions:
        held(question, str, "prompt")
    parts, numbers = loaded_with_table(
        adapters, weights, base=base_name_or_none(base), ignore_keys=loading.ignore_keys
    )
    no_images(parts)
    model = loaded_base_of(base, parts, loading)
    asked = prompt_of(model, None, answering.template, adapters=parts)
    told = asked_in(asked, {"questions": [Row(question, "") for question in questions]}, parts)
    points = weightings([part.name for part in parts], numbers, whole_only=True)
    advance = advancing(progress, "ask", len(questions))
    found: list[Answer] = []
    with SuperposedModel(model.model, parts) as superposed:
        for question in questions:
            found += answers(
                superposed,
                asked,
                points,
                [question],
                max_new_tokens=answering.max_new_tokens,
                temperature=answering.temperature,
                seed=answering.seed,
            )
            advance(1)
    return Answers(model.name, tuple(found), told)
