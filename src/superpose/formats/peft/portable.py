"""An adapter's deltas as the two factors each that go into a PEFT file.

Everything is folded into B, so that the scaling is 1 whoever computes it: vLLM takes alpha / r from
the configuration and reads no patterns, llama.cpp's converter stores one alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta, place_of
from superpose.formats.folded import cast, check_loss, check_range, exact_term, rounding_error
from superpose.formats.peft.keys import factor_name
from superpose.formats.rounding import Loss, loss
from superpose.lowrank import Term, nonzero, upcast

Array = NDArray[Any]


class Factors(NamedTuple):
    """What goes into the file, in the file's dtype.

    pairs: B (out, r), A (r, in) of each delta, by its key in the adapter, padded to the rank that
    `ranks` says. biases: (out,), by key. rounding_error: |written - exact| / |exact|, Frobenius
    norms over all modules.
    """

    pairs: dict[str, tuple[Array, Array]]
    biases: dict[str, Array]
    ranks: dict[str, int]
    rounding_error: float


def fold(
    adapter: Adapter,
    dtype: str,
    compact: bool,
    sizes: Collection[int] = (),
    *,
    name: Callable[[str, str], str] = factor_name,
) -> Factors:
    """Give the factors to write: scaling 1 everywhere.

    dtype: one of DTYPES. compact: False pads every module with zero rows of A and zero columns of B
    to one rank, which changes no delta; True leaves each module its own rank. sizes: the one rank
    is the least of these that is enough, where one is. name: what the file calls a factor, of side
    "A" or "B", for messages.

    A rounding error above MUCH_LOST is a SuperposeWarning. Raises BadInput, naming the tensor, when
    a value is too large for the dtype; and when all of a sum is too small for it.
    """
    shortened = {m: replace(delta, terms=nonzero(delta.terms)) for m, delta in adapter.items()}
    ranks = block_ranks(shortened, compact, sizes)
    pairs: dict[str, tuple[Array, Array]] = {}
    losses: dict[str, Loss] = {}
    for key, delta in shortened.items():
        exact = exact_term(delta, dtype)
        if key not in ranks:  # a bias: one column, and nothing beside it
            one = np.ones((1, 1), exact.B.dtype)
            exact = Term(1.0, exact.B @ upcast(exact.A, exact.B.dtype.name), one)
        B, A = cast(exact.B, dtype), cast(exact.A, dtype)
        for side, factor in (("B", B), ("A", A)):
            check_range(factor, name(key, side), dtype)
        losses[key] = loss(exact, Term(1.0, B, A))
        pairs[key] = B, A
    error = rounding_error(shortened, losses)
    something = any(bool(B.any() and A.any()) for B, A in pairs.values())
    check_loss(error, something or bool(adapter.replacements), dtype)
    biases = {key: pairs.pop(key)[0][:, 0] for key in shortened if key not in ranks}
    padded = {key: _padded(*pair, ranks[key]) for key, pair in pairs.items()}
    return Factors(padded, biases, ranks, error)


def block_ranks(
    deltas: Mapping[str, Delta], compact: bool, sizes: Collection[int] = ()
) -> dict[str, int]:
    """Give the rank that each delta is written with, by key; biases have none.

    Blocks of one tensor have one rank; a convolution's groups share its module's rank, which their
    number must divide.
    """
    places = {key: place_of(key, delta.place) for key, delta in deltas.items()}
    factored = {key: place for key, place in places.items() if place.kind != "bias"}
    whole: dict[str, int] = {}
    for key, place in factored.items():
        rank = deltas[key].rank * place.sharing
        whole[place.tensor] = max(whole.get(place.tensor, 0), rank)
    if not compact and whole:
        step = math.lcm(*(place.sharing for place in factored.values()))
        one = -(-max(whole.values()) // step) * step
        one = min((size for size in sizes if size >= one and size % step == 0), default=one)
        whole = dict.fromkeys(whole, one)
    return {key: whole[place.tensor] // place.sharing for key, place in factored.items()}


def _padded(B: Array, A: Array, rank: int) -> tuple[Array, Array]:
    missing = rank - A.shape[0]
    if not missing:
        return B, A
    return np.pad(B, ((0, 0), (0, missing))), np.pad(A, ((0, missing), (0, 0)))
