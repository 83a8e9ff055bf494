"""Which adapters of a library one adapter is a sum of: the search.

Orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad 1993) on the equations of
`equations`: what the parents so far leave is sketched, those of the library that it points to are
read, and the fewest that explain the target are chosen among all that were read (`sparse`). A
sketch's error is a share of what is left, so that small parents are seen once the large ones are
known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from superpose.adapter import Adapter, Delta
from superpose.library.equations import Equations, equations_of, unkept
from superpose.library.query import Asked
from superpose.library.sparse import FLOOR, Chosen, fewest, solved

Array: TypeAlias = Any

Tell: TypeAlias = Callable[[float, float | None, str], None]

_FIRST, _MORE, _KIN = 10, 5, 6
"""Adapters that are read at once: at first, for what is left, and relatives of each parent."""

_ROUNDS, _READ = 12, 72
"""Rounds at most, and adapters that are read for one answer at most."""

CLEAR = 6.0
"""Standard errors that a weight has to be away from 0, and on either side of it: rounding is no
white noise, and the true weights of small made sums that were compressed and rounded were up to
five away."""

_PATIENCE, _LITTLE = 4, 1e-3
"""Rounds without gain until a search ends while more than this is left, of 2: a part from elsewhere
hides small parents from the sketches, so that some more are read."""

_RELATED = 0.3
"""Cosine by sketch from which two are taken for relatives."""


@dataclass(eq=False)
class Search:
    """The state of one search. read: positions in the library, in the order of the equations."""

    asked: Asked
    equations: Equations
    read: list[int]
    chosen: Chosen

    @property
    def parents(self) -> list[int]:
        """Positions in the library of the parents so far."""
        return [self.read[at] for at in self.chosen.parents]

    def take(self, positions: Sequence[int]) -> None:
        """Read some more, and choose anew."""
        library = self.asked.library
        fresh = [at for at in positions if at not in self.read and library.entries[at].norm > 0.0]
        fresh = fresh[: max(0, _READ - len(self.read))]
        self.equations.add((library.adapter(at), library.entries[at].norm) for at in fresh)
        self.read += fresh
        rest = self.equations
        self.chosen = fewest(rest.gram, rest.right, rest.count, len(self.asked.others))
        while len(self.chosen.parents):
            clear = np.abs(self.chosen.weights) / self.deviations()
            if clear.min() >= CLEAR:
                break
            kept = np.delete(self.chosen.parents, int(np.argmin(clear)))
            self.chosen = solved(rest.gram, rest.right, kept)

    def deviations(self) -> Array:
        """Give the standard errors of the weights, of unit adapters: White's, and float64's own."""
        chosen = self.chosen
        middle = self.equations.scores(chosen.weights, chosen.parents)
        spread = np.diag(chosen.inverse @ middle @ chosen.inverse)
        least = FLOOR * np.diag(chosen.inverse)
        return np.asarray(np.sqrt(np.maximum(0.0, spread) + np.maximum(0.0, least)))

    def told(self) -> tuple[Array, Array]:
        """Give the weights, of unit adapters and without bias, and how far off they may be.

        That is `CLEAR` standard errors; where a model was rounded, also half of the bias that was
        taken off, which is known to second order alone, and twice the share that is left: changes
        far below the rounding are rounded off, which takes of all weights alike and is no noise.
        """
        chosen = self.chosen
        shift = chosen.inverse @ self.equations.bias[chosen.parents]
        weights = chosen.weights - shift
        left = chosen.error if unkept(self.asked.adapter) else 0.0
        return weights, CLEAR * self.deviations() + np.abs(shift) / 2.0 + np.abs(weights) * left

    def pointed_to(self, count: int) -> list[int]:
        """Give those of the library that what is left points to most, but for those read."""
        rest = self.equations.left(self.chosen.weights, self.chosen.parents)
        left = Adapter({key: Delta(tuple(terms)) for key, terms in rest.items()})
        sketch, _, _ = self.asked.library.sketcher.of(left, 1.0)
        others = np.array([at for at in self.asked.others if at not in set(self.read)], int)
        scores = np.abs(self.asked.library.sketches[others] @ sketch)
        return [int(at) for at in others[np.argsort(-scores, kind="stable")[:count]]]

    def relatives(self) -> list[int]:
        """Give those that are most like one of the parents, but for those read."""
        library, found = self.asked.library, []
        others = np.array([at for at in self.asked.others if at not in set(self.read)], int)
        for parent in self.parents:
            cosines = np.abs(library.sketches[others] @ library.sketches[parent])
            first = np.argsort(-cosines, kind="stable")[:_KIN]
            found += [int(others[at]) for at in first if cosines[at] > _RELATED]
        return list(dict.fromkeys(found))


def searched(asked: Asked, progress: Tell | None = None) -> Search:
    """Find the fewest adapters of the library that explain the one asked about."""
    equations = equations_of(asked.adapter, asked.norm)
    nothing = np.zeros(0)
    search = Search(
        asked, equations, [], Chosen(nothing.astype(int), nothing, 2.0, np.zeros((0, 0)))
    )
    best, stale = 2.0, 0
    for done in range(_ROUNDS):
        if progress is not None:
            progress(done, _ROUNDS, "find parents")
        search.take(search.pointed_to(_MORE if done else _FIRST))
        search.take(search.relatives())
        error = search.chosen.error
        stale = stale + 1 if error > 0.97 * best else 0
        patience = _PATIENCE if error > _LITTLE else 1
        if error <= 2.0 * FLOOR or len(search.read) >= _READ or stale >= patience:
            break
        best = min(best, error)
    if progress is not None:
        progress(_ROUNDS, _ROUNDS, "find parents")
    return search
