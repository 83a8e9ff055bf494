"""By what loaders know an image LoRA's file, beside the names of its modules; a sum keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from superpose.files.file_format import Family, family_of_format

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter

MARKS = "marks"
"""Setting of an image LoRA: a `Marks`."""


@dataclass(frozen=True)
class Marks:
    """What a file's tensors are called, and which there are beside the factors.

    spellings: how factors end, by component and whether the module is an attention layer's. alphas:
    components whose LoRA modules have an `.alpha`. lokr: components with a LoKr, by which some
    loaders know them. norms: how the change of a norm's weight ends, "diff" or "w_norm"; biases: of
    another module's bias, "diff_b" or "bias" (of a factor); None where there is none. whole:
    modules whose change is stored as it is, in `.diff`.
    """

    spellings: Mapping[str, str] = field(default_factory=dict)
    alphas: frozenset[str] = frozenset()
    lokr: frozenset[str] = frozenset()
    norms: str | None = None
    biases: str | None = None
    whole: frozenset[str] = frozenset()


def settings_to_json(settings: Mapping[str, object]) -> dict[str, object]:
    """Give an adapter's settings as JSON holds them: the marks as a mapping."""
    marks = settings.get(MARKS)
    if not isinstance(marks, Marks):
        return dict(settings)
    fields = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in vars(marks).items()}
    return {**settings, MARKS: {**fields, "spellings": dict(marks.spellings)}}


def settings_of_json(told: Mapping[str, Any]) -> dict[str, object]:
    """Read what `settings_to_json` gave."""
    if MARKS not in told:
        return dict(told)
    sets: dict[str, Any] = {
        k: frozenset(v) if isinstance(v, list) else v for k, v in told[MARKS].items()
    }
    return {**told, MARKS: Marks(**sets)}


def is_image(adapter: Adapter) -> bool:
    """Say whether an adapter is an image LoRA, by whose names its modules go."""
    return family_of_format(adapter.format) == Family.IMAGE


def marks_of(adapter: Adapter) -> Marks:
    """Give the marks of an adapter's file; none for one made in memory."""
    found = adapter.settings.get(MARKS)
    return found if isinstance(found, Marks) else Marks()
