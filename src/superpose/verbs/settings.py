"""Settings that several verbs share: the fields are keywords in Python and options in the shell.

Each field is written once, with its default and its help: `Annotated[int, "what it is"] = 64`, or
with an `Option` where the command line calls it something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from superpose.option import Option
from superpose.training.settings import MAX_TOKENS

__all__ = ["Calibration", "Loading", "Option", "Questions", "Writing"]


@dataclass(frozen=True)
class Loading:
    """How a base model and adapters of it are loaded."""

    dtype: Annotated[str, "The base's weights in memory."] = "float32"
    ignore_keys: Annotated[
        tuple[str, ...],
        Option("An unknown configuration key that does not touch the weights.", ("--ignore-key",)),
    ] = ()


@dataclass(frozen=True)
class Questions:
    """Which rows of question files are taken, and how they become tokens.

    template: empty for the default one.
    """

    rows: Annotated[int | None, "So many rows of each, drawn by seed."] = None
    max_tokens: Annotated[int, "Longest question and answer, in tokens."] = MAX_TOKENS
    template: Annotated[str, "Text before the answer, with {question} in it."] = ""
    question: Annotated[str, "Column of the question."] = "question"
    answer: Annotated[str, "Column of the answer."] = "answer"
    seed: Annotated[int, "Draws the rows."] = 0


@dataclass(frozen=True)
class Calibration(Questions):
    """Questions that a forecast is fitted to."""

    rows: Annotated[int | None, "Calibration rows of each domain, drawn by seed."] = 64


@dataclass(frozen=True)
class Writing:
    """How an adapter is written."""

    dtype: Annotated[
        str | None,
        "float32, float16, bfloat16 or float64; by default the narrowest that holds every "
        "adapter's factors, for GGUF float32.",
    ] = None
    compact: Annotated[
        bool, Option("Keep each module's own rank; PEFT alone reads that.", ("--compact",))
    ] = False
    force: Annotated[bool, Option("Replace an adapter that stands at OUT.", ("--force",))] = False
