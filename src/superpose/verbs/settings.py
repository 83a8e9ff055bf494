"""Settings that several verbs share: the fields are keywords in Python and options in the shell.

Each field is written once, with its default and its help: `Annotated[int, "what it is"] = 64`, or
with an `Option` where the command line calls it something else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

from superpose.errors import BadSetting
from superpose.option import DEVICE, Option
from superpose.training.settings import MAX_TOKENS

__all__ = [
    "TEMPLATE",
    "Calibration",
    "Loading",
    "MergeQuestions",
    "Option",
    "Questions",
    "TypedSettings",
    "Writing",
    "held",
]

_LEAST = {
    "exact_match": 0,
    "max_new_tokens": 1,
    "max_tokens": 2,
    "rows": 1,
    "seed": 0,
    "temperature": 0,
}
_MOST = {"seed": 2**63 - 1}  # what torch draws from

TEMPLATE = (
    "Text before the answer, with {question} in it; chat: the chat template of the adapters' or "
    "the base's tokenizer, which conversations have by themselves; or a .jinja file of one."
)
"""The help of `template`."""


class TypedSettings:
    """What a frozen dataclass of settings refuses: what is not of a field's type, or out of range.

    Raises BadSetting with the field's name.
    """

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for name, value in vars(self).items():
            if not _fits(value, kinds[name]):
                called = getattr(kinds[name], "__name__", str(kinds[name]))
                raise BadSetting(f"{value!r} is not of type {called}", where=name)
            if value is None:
                continue
            if name in _LEAST and not value >= _LEAST[name]:  # NaN is in no range
                raise BadSetting(f"{value} is below {_LEAST[name]}", where=name)
            if name in _MOST and value > _MOST[name]:
                raise BadSetting(f"{value} is above {_MOST[name]}", where=name)


def held(value: object, kind: type, where: str) -> None:
    """Raise BadSetting where an argument is not of its class. where: what it is called."""
    if not isinstance(value, kind):
        shown = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
        raise BadSetting(
            f"{shown} is no {kind.__name__}",
            where=where,
            hint=f"Give an instance of {kind.__module__}.{kind.__name__}.",
        )


def _fits(value: object, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        if isinstance(value, str) or not isinstance(value, Collection):
            return False
        return all(isinstance(one, str) for one in value)
    if options := get_args(kind):
        return any(_fits(value, option) for option in options)
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    return isinstance(value, kind)


@dataclass(frozen=True)
class Loading(TypedSettings):
    """How a base model and adapters of it are loaded."""

    dtype: Annotated[
        str, Option("The base's weights in memory.", metavar="float32|bfloat16|float16")
    ] = "float32"
    device: Annotated[str, Option(DEVICE, metavar="DEVICE")] = "auto"
    ignore_keys: Annotated[
        tuple[str, ...],
        Option("An unknown configuration key that does not touch the weights.", ("--ignore-key",)),
    ] = ()


@dataclass(frozen=True)
class Questions(TypedSettings):
    """Which rows of question files are taken, and how they become tokens.

    template: empty for what the rows are made for. unanswered: whether questions alone will do, by
    an empty name of the answers' column.
    """

    unanswered: ClassVar[bool] = False

    rows: Annotated[int | None, "Up to so many rows of each, drawn by seed."] = None
    max_tokens: Annotated[int, "Longest question and answer, in tokens."] = MAX_TOKENS
    template: Annotated[str, TEMPLATE] = ""
    question: Annotated[str, "Column of the question."] = "question"
    answer: Annotated[str, "Column of the answer."] = "answer"
    choices: Annotated[str, "Column of the choices; empty to read none."] = "choices"
    seed: Annotated[int, "Draws the rows."] = 0


@dataclass(frozen=True)
class Calibration(Questions):
    """Questions that a forecast is fitted to."""

    rows: Annotated[int | None, "Up to so many calibration rows of each domain, by seed."] = 64


@dataclass(frozen=True)
class MergeQuestions(Calibration):
    """Questions that a merge method takes what it needs of each adapter's domain from.

    seed: that of what is drawn, in the shell.
    """

    unanswered: ClassVar[bool] = True

    rows: Annotated[int | None, "Up to so many rows of each domain's --data, drawn by seed."] = 64
    answer: Annotated[
        str, "Column of the answer; empty to take questions alone, for regmean and ssr."
    ] = "answer"
    seed: Annotated[int, Option("Draws the rows.", in_shell=False)] = 0


@dataclass(frozen=True)
class Writing(TypedSettings):
    """How an adapter is written."""

    dtype: Annotated[
        str | None,
        Option(
            "By default the narrowest that holds every adapter's factors, for GGUF float32.",
            metavar="float32|float16|bfloat16|float64",
        ),
    ] = None
    compact: Annotated[
        bool, Option("Keep each module's own rank; PEFT alone reads that.", ("--compact",))
    ] = False
    force: Annotated[bool, Option("Replace an adapter that stands at OUT.", ("--force",))] = False
