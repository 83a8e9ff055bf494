"""The angle between two adapters, from their factors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from superpose.adapter.brought_together import together
from superpose.lowrank.inner_products import norm, share
from superpose.lowrank.terms import beyond_float64

if TYPE_CHECKING:
    from superpose.adapter.adapter import Adapter


def cosine_of(a: Adapter, b: Adapter) -> float:
    """Give `Adapter.cosine`, which says what it is and raises."""
    x, y = together((a, b), deltas_alone=True)
    own = [{m: norm(delta.terms) for m, delta in part.items()} for part in (x, y)]
    for module, length in (each for lengths in own for each in lengths.items()):
        if math.isinf(length):
            raise beyond_float64(module)
    lengths = math.hypot(*own[0].values()), math.hypot(*own[1].values())
    if not min(lengths) > 0.0:
        return math.nan
    both = math.fsum(
        share(x[m].terms, y[m].terms, (own[0][m], own[1][m]), lengths) for m in x if m in y
    )
    # Rounding may carry the cosine of a delta with itself past 1.
    return max(-1.0, min(1.0, both))
