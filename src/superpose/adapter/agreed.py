"""What two adapters agree on beside their deltas: settings and metadata that a sum keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from superpose.adapter.base_class import MAPPING, agreed_mapping
from superpose.adapter.image_marks import MARKS

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter

_ABSENT: Any = object()

V = TypeVar("V")


def agreed(x: Mapping[str, V], y: Mapping[str, V]) -> dict[str, V]:
    """Give what stands in both with one value."""
    return {key: value for key, value in x.items() if y.get(key, _ABSENT) == value}


def agreed_settings(total: Adapter, parts: Sequence[Adapter]) -> dict[str, object]:
    """Give the settings of a sum of two.

    total: has the sum's names and what it stores, and the marks of an image LoRA that both have.
    """
    first, second = (
        {key: value for key, value in part.settings.items() if key != MAPPING} for part in parts
    )
    marks = {MARKS: total.settings[MARKS]} if MARKS in total.settings else {}
    return {**agreed(first, second), **agreed_mapping(total, parts), **marks}
