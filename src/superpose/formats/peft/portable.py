"""An adapter's deltas as the two factors each that go into a PEFT file, and what rounding cost.

Everything is folded into B, so that the scaling is 1 whoever computes it: vLLM takes alpha / r from
the configuration and reads no patterns, llama.cpp's converter stores one alpha.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta
from superpose.formats.folded import cast, check_loss, check_range, exact_term, rounding_error
from superpose.formats.peft.keys import factor_name
from superpose.formats.rounding import Loss, loss
from superpose.lowrank import Term, nonzero

Array = NDArray[Any]


class Factors(NamedTuple):
    """What goes into the file. tensors: by name. ranks: by module, as written.

    rounding_error: |written - exact| / |exact|, Frobenius norms over all modules.
    """

    tensors: dict[str, Array]
    ranks: dict[str, int]
    rounding_error: float


def fold(adapter: Adapter, dtype: str, compact: bool) -> Factors:
    """Give the factors to write: scaling 1 everywhere.

    dtype: one of DTYPES. compact: False pads every module with zero rows of A and zero columns of B
    to the largest rank, which changes no delta; True leaves each module its own rank.

    A rounding error above MUCH_LOST is a SuperposeWarning. Raises BadInput, naming the tensor, when
    a value is too large for the dtype; and when all of a sum is too small for it.
    """
    shortened = {m: Delta(nonzero(delta.terms), delta.stored) for m, delta in adapter.items()}
    largest = max(delta.rank for delta in shortened.values())
    tensors: dict[str, Array] = {}
    ranks: dict[str, int] = {}
    losses: dict[str, Loss] = {}
    something = False
    for module, delta in shortened.items():
        exact = exact_term(delta, dtype)
        B, A = cast(exact.B, dtype), cast(exact.A, dtype)
        for side, factor in (("B", B), ("A", A)):
            check_range(factor, factor_name(module, side), dtype)
        losses[module] = loss(exact, Term(1.0, B, A))
        something = something or bool(B.any() and A.any())
        ranks[module] = delta.rank if compact else largest
        missing = ranks[module] - delta.rank
        tensors[factor_name(module, "A")] = np.pad(A, ((0, missing), (0, 0))) if missing else A
        tensors[factor_name(module, "B")] = np.pad(B, ((0, 0), (0, missing))) if missing else B
    error = rounding_error(shortened, losses)
    check_loss(error, something, dtype)
    return Factors(tensors, ranks, error)
