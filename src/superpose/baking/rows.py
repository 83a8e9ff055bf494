"""A base model some of whose tensors have other rows than its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.files.checkpoint import Checkpoint, Location

Array = NDArray[Any]

OTHER_ROWS = "Adapters of different vocabularies, or heads for other labels, have no sum."
"""What there is to say where two adapters bring different rows of one tensor."""


@dataclass(frozen=True, eq=False)
class Resized(Checkpoint):
    """A base model with other values for some of its tensors, of other sizes.

    values: by stored name, in the dtype of the files. vocabulary: its rows, None where they are the
    base's.
    """

    values: Mapping[str, Array] = field(default_factory=dict)
    vocabulary: int | None = None

    def _bytes(
        self, name: str, location: Location, skip: int, count: int, into: Array | None = None
    ) -> Array:
        if name not in self.values:
            return super()._bytes(name, location, skip, count, into)
        own = np.ascontiguousarray(self.values[name])
        part = own.reshape(-1).view(np.uint8)[skip : skip + count]
        data = np.empty(count, np.uint8) if into is None else into
        np.copyto(data, part)
        return data.view(own.dtype)


__all__ = ["OTHER_ROWS", "Resized"]
