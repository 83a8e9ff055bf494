"""Methods on the entries of deltas, formed for it: one adapter's in one module at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from superpose.adapter import Delta
from superpose.compose.by_module import Array, ByModule, ModuleSource
from superpose.errors import BadSetting

_DOUBLE = 1 << 22
"""Entries up to which a delta is formed in float64; beyond, in float32."""


@dataclass(frozen=True)
class OnEntries(ByModule):
    """Some entries of each delta are kept, and those of all adapters are put together.

    Forms one (out_features, in_features) matrix of one adapter at a time and holds four more, in
    float32 where a module has more than four million entries. The result has full rank, and is cut
    to `rank`, or to the exact sum's.
    """

    elects: ClassVar[bool]
    """Whether signs are elected and the entries of that sign averaged; otherwise all are added."""

    @abstractmethod
    def kept(self, x: Array, label: str) -> Array:
        """Give a delta with what is kept of it. x: formed, free to be written to."""

    def highest_rank(self, delta: Delta) -> int:
        """Give the most that the result can have in a module. delta: the sum's."""
        return min(delta.shape)

    def of_module(self, sources: Sequence[ModuleSource]) -> Array:
        """Give the sum of what is kept, or the mean over the entries of the elected sign."""
        total = sum(self._each(sources))
        assert isinstance(total, np.ndarray)
        if not self.elects:
            return total
        # Formed a second time, rather than held: the signs are known only now.
        sign = np.sign(total)
        total[:] = 0.0
        count = np.zeros(total.shape, np.int16)
        for x in self._each(sources):
            agrees = sign * x > 0.0
            count += agrees
            total += np.where(agrees, x, 0.0)
        return np.asarray(total / np.maximum(count, 1))

    def _each(self, sources: Sequence[ModuleSource]) -> Iterator[Array]:
        for label, (_, B, A) in sources:
            small = len(B) * A.shape[1] <= _DOUBLE
            x = B @ A if small else B.astype(np.float32) @ A.astype(np.float32)
            yield self.kept(x, label)


def check_share(value: float, name: str) -> None:
    """Raise BadSetting for what is no share in (0, 1]."""
    if not 0.0 < value <= 1.0:
        raise BadSetting(f"{name} is {value:g}; it must be above 0 and at most 1", where=name)
