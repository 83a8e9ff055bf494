"""Figures as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping


def without_nan(value: object) -> object:
    """Give dicts, lists and scalars in which each NaN and infinity is None.

    JSON has no word for either: a figure that does not exist is null.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value
