"""What predict and tune begin with: adapters of a base model, each with rows of its own domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superpose.errors import BadSetting
from superpose.shown.words import counted
from superpose.verbs.adapters import Adapters, as_list, loaded
from superpose.verbs.base import Base, base_name_or_none, loaded_base_of
from superpose.verbs.given import given_to_add
from superpose.verbs.images import no_images
from superpose.verbs.prompts import asked_in, prompt_of
from superpose.verbs.questions import Data, DomainRows, encoded, read_domains
from superpose.verbs.settings import Calibration, Loading, Questions, held

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.data.prompt import Example, Prompt
    from superpose.model import BaseModel

__all__ = ["Calibrating", "calibrating", "data_rows", "few_rows"]

FEW = 16
"""Calibration rows of a domain below which a forecast is a guess, and called one."""


@dataclass(frozen=True)
class Calibrating:
    """Adapters of a base model that is loaded, and each one's calibration rows as tokens.

    names: of the adapters, told apart. read: each domain's rows, in the adapters' order. asked:
    what the prompt asks them in, for JSON. examples: those that were drawn, by domain. given: the
    words behind `superpose add` that take the same adapters.
    """

    base: BaseModel
    adapters: tuple[Adapter, ...]
    names: tuple[str, ...]
    read: tuple[DomainRows, ...]
    prompt: Prompt
    asked: Mapping[str, Any]
    examples: Mapping[str, list[Example]]
    given: tuple[str, ...]


def calibrating(
    base: Base | None,
    adapters: Adapters,
    data: Data,
    questions: Calibration,
    loading: Loading,
    same_base: bool,
) -> Calibrating:
    """Load adapters, read rows, load the base; the cheap and the likeliest to fail come first.

    Raises DifferentBase where the adapters are of different bases, BadSetting for another number
    of domains than of adapters, and what reading and loading raise.
    """
    from superpose.adapter import check_same_base
    from superpose.interference import told_apart

    held(questions, Questions, "questions")
    held(loading, Loading, "loading")
    name, adapters = base_name_or_none(base), as_list(adapters)
    if not adapters:
        raise BadSetting("there is no adapter", where="adapters")
    parts = loaded(adapters, base=name, ignore_keys=loading.ignore_keys)
    no_images(parts)
    check_same_base(parts, same_base)
    read = read_domains(data, questions)
    if len(read) != len(parts):
        raise BadSetting(
            f"{counted(len(parts), 'adapter')} and {counted(len(read), 'domain')}",
            where="data",
            hint="Give --data once for each adapter, in the adapters' order: a domain without an "
            "adapter, or an adapter without a domain, has nothing to be predicted.",
        )
    model = loaded_base_of(base, parts, loading, same_base)
    rows = {domain.name: domain.rows for domain in read}
    every = (row for of in rows.values() for row in of)
    prompt = prompt_of(model, questions.max_tokens, questions.template, every, parts)
    asked = asked_in(prompt, rows, parts)
    examples = {
        d.name: encoded(d.name, d.rows, prompt, questions.rows, questions.seed) for d in read
    }
    given = given_to_add(adapters, model.name, same_base, loading.ignore_keys)
    names = told_apart(parts)
    return Calibrating(
        model, tuple(parts), names, tuple(read), prompt, asked, examples, tuple(given)
    )


def few_rows(counts: Iterable[int]) -> tuple[str, ...]:
    """Say that calibration rows are few, where they are. counts: of each domain."""
    least = min(counts)
    return (f"{least} calibration rows are few: look at the intervals",) if least < FEW else ()


def data_rows(
    read: tuple[DomainRows, ...], examples: Mapping[str, list[Example]], kind: str
) -> tuple[tuple[str, str, str], ...]:
    """Give (domain, how many rows, fingerprint) of each domain, for a page. kind: of the rows."""
    return tuple(
        (name, counted(len(found), f"{kind} row"), domain.fingerprint)
        for (name, found), domain in zip(examples.items(), read, strict=True)
    )
