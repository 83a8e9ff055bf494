"""Which of many adapters belong together by their cosines, and in what order a map shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from superpose.interference.borders import LARGE

Array: TypeAlias = Any


class Union:
    """Things that are joined to groups, one pair at a time."""

    def __init__(self, members: Sequence[int]) -> None:
        self._above = {at: at for at in members}

    def of(self, at: int) -> int:
        """Give the one that stands for a thing's group: the first of it."""
        while self._above[at] != at:
            self._above[at] = self._above[self._above[at]]
            at = self._above[at]
        return at

    def join(self, i: int, j: int) -> None:
        """Make one group of two."""
        first, other = sorted((self.of(i), self.of(j)))
        self._above[other] = first

    def groups(self) -> list[list[int]]:
        """Give all groups, their members in order."""
        found: dict[int, list[int]] = {}
        for at in self._above:
            found.setdefault(self.of(at), []).append(at)
        return list(found.values())


def clusters_of(cosine: Array) -> list[list[int]]:
    """Give adapters in clusters, the largest first; those that stand alone are clusters of one.

    cosine (K, K): NaN where there is none. Two belong together from the border of a large common
    direction on, whatever the sign, and so do those that a third joins.
    """
    kept = Union(range(len(cosine)))
    for i, j in np.argwhere(np.abs(np.nan_to_num(cosine)) >= LARGE):
        kept.join(int(i), int(j))
    return sorted((_ordered(one, cosine) for one in kept.groups()), key=lambda one: -len(one))


def _ordered(members: Sequence[int], cosine: Array) -> list[int]:
    """Give a cluster so that near ones stand beside each other: each next is nearest the last."""
    rest, found = list(members[1:]), [members[0]]
    while rest:
        sizes = np.nan_to_num(np.abs(cosine[found[-1], rest]))
        found.append(rest.pop(int(np.argmax(sizes))))
    return found
