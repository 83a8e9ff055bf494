"""Deltas as the two factors each that go into a file, whatever its format, and what rounding cost.

Everything is folded into B, so that the scaling is 1 whoever computes it: vLLM takes alpha / r from
the configuration and reads no patterns, llama.cpp's converter stores one alpha.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta, place_of
from superpose.errors import BadInput, BadSetting, SuperposeWarning
from superpose.files.finite import all_finite
from superpose.files.tensors import EIGHT_BITS, numpy_dtype
from superpose.formats.rounding import Loss, loss
from superpose.lowrank import Term, dtype_name, nonzero, norm, upcast

Array = NDArray[Any]

DTYPES = ("bfloat16", "float16", "float32", "float64")
"""Dtypes that a file may be written in."""

MUCH_LOST = 0.01
"""Rounding error that is said: bfloat16, the coarsest, costs a third of it unless values cancel."""

_FACTOR_OF_FLOAT32 = 1e-6
"""Coefficients of this size, up to its inverse, leave what a half holds within float32's range."""


class Folded(NamedTuple):
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
    name: Callable[[str, str], str],
) -> Folded:
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
        named = partial(name, key)
        written, losses[key] = rounded_term(delta, dtype, is_bias=key not in ranks, name=named)
        pairs[key] = written.B, written.A
    error = rounding_error(shortened, losses)
    something = any(bool(B.any() and A.any()) for B, A in pairs.values())
    check_loss(error, something or bool(adapter.replacements), dtype)
    biases = {key: pairs.pop(key)[0][:, 0] for key in shortened if key not in ranks}
    padded = {key: padded_to(ranks[key], *pair) for key, pair in pairs.items()}
    return Folded(padded, biases, ranks, error)


def rounded_term(
    delta: Delta, dtype: str, *, is_bias: bool, name: Callable[[str], str]
) -> tuple[Term, Loss]:
    """Give a delta's factors in a dtype, and what that cost. name: as for `fold`, of a side."""
    quick = dtype in ("float16", "bfloat16") and _ordinary(delta) and not is_bias
    for precision in ("float32", "float64") if quick else ("float64",):
        exact = exact_term(delta, dtype, precision)
        if is_bias:  # one column, and nothing beside it
            one = np.ones((1, 1), precision)
            exact = Term(1.0, exact.B @ upcast(exact.A, precision), one)
        written = Term(1.0, cast(exact.B, dtype), cast(exact.A, dtype))
        for side, factor in (("B", written.B), ("A", written.A)):
            check_range(factor, name(side), dtype)
        found = loss(exact, written)
        if not found.cancelling:
            break
    return written, found


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


def padded_to(rank: int, B: Array, A: Array) -> tuple[Array, Array]:
    """Give B (out, rank) and A (rank, in), padded with zeros: the product is the same."""
    missing = rank - A.shape[0]
    if not missing:
        return B, A
    return np.pad(B, ((0, 0), (0, missing))), np.pad(A, ((0, missing), (0, 0)))


def widest_dtype(adapter: Adapter) -> str:
    """Give the narrowest dtype that holds every factor exactly as the parents stored it.

    float16 and bfloat16 together take float32: neither holds the other. Both hold eight bits, which
    take float16: it rounds their sums less. Tensors that are stored absolutely count where there
    are no factors.
    """
    used = {dtype for delta in adapter.values() for dtype in delta.stored}
    used = used or {dtype for whole in adapter.replacements.values() for dtype in whole.stored}
    halves = used - set(EIGHT_BITS.values()) or {"float16"}
    for dtype in ("float64", "float32"):
        if dtype in used:
            return dtype
    return halves.pop() if len(halves) == 1 else "float32"


def checked_dtype(dtype: str) -> str:
    """Let a dtype that can be written pass; raises BadSetting for any other."""
    if dtype not in DTYPES:
        raise BadSetting(f"{dtype!r} is none of {', '.join(DTYPES)}", where="dtype")
    return dtype


def check_loss(error: float, something: bool, dtype: str) -> None:
    """Refuse a sum of which nothing is left, say it when much is lost.

    something: whether a module is left whose factors are not zero.
    """
    if error <= MUCH_LOST:
        return
    remedy = wider_than(dtype)
    if not something:
        raise BadInput(
            f"the sum is too small for {dtype}: every value of it would become zero; "
            "nothing was written",
            hint=remedy,
        )
    warnings.warn(
        f"{dtype} is too coarse for this sum: rounding changes it by {100 * error:.2g} % of its "
        f"size. {remedy}",
        SuperposeWarning,
        stacklevel=4,
    )


def wider_than(dtype: str) -> str:
    """Give the hint of what to do where a dtype holds too little."""
    if dtype == "float64":
        return "Use task weights nearer to 1."
    wider = "float32" if dtype in ("float16", "bfloat16") else "float64"
    return f"--dtype {wider} holds more."


def rounding_error(deltas: Mapping[str, Delta], losses: Mapping[str, Loss]) -> float:
    """Give |written - exact| / |exact|, Frobenius norms over all of these deltas together.

    To four digits: from the eleventh on, what a library of linear algebra sums hangs on the number
    of its threads, and files that hold the figure have the same bytes with any.
    """
    lost = math.hypot(*(found.lost for found in losses.values()))
    if lost == 0.0:
        return 0.0
    sizes = [
        norm(deltas[module].terms) if found.exact is None else found.exact
        for module, found in losses.items()
    ]
    size = math.hypot(*sizes)
    return float(f"{lost / size:.4g}") if size > 0.0 else 0.0


def exact_term(delta: Delta, dtype: str, precision: str) -> Term:
    """Give the delta as one term of NumPy factors before rounding: the scaling is in B.

    precision: of B; what rounding costs is measured against it. A is in the file's dtype where that
    holds all of it as it is: no digit of it is looked for then.
    """
    terms = [Term(t.coefficient, _to_numpy(t.B), _to_numpy(t.A)) for t in delta.terms]
    B = np.empty((delta.shape[0], delta.rank), precision)
    at = 0
    with np.errstate(over="ignore"):  # an overflow is found, and named, after the cast
        for t in terms:
            # Into its place at once: three times quicker than scaling and joining.
            columns = slice(at, at + t.B.shape[1])
            np.multiply(upcast(t.B, precision), t.coefficient, out=B[:, columns])
            at = columns.stop
    held = all(_holds(dtype, t.A) for t in terms)
    A = [cast(t.A, dtype) if held else upcast(t.A, precision) for t in terms]
    return Term(1.0, B, np.concatenate(A, axis=0))


def _holds(dtype: str, x: Array) -> bool:
    """Say whether a dtype holds all values of an array's own."""
    if dtype_name(x) == dtype:
        return True
    return dtype in ("float32", "float64") and x.dtype.itemsize < np.dtype(dtype).itemsize


def _ordinary(delta: Delta) -> bool:
    sizes = [abs(term.coefficient) for term in delta.terms]
    for x in (x for term in delta.terms for x in term.arrays if dtype_name(x) == "float64"):
        sizes += [peak] if (peak := float(abs(x).max())) else []  # float32 would lose it unseen
    return all(_FACTOR_OF_FLOAT32 <= size <= 1 / _FACTOR_OF_FLOAT32 for size in sizes)


def cast(factor: Array, dtype: str) -> Array:
    """Round to a dtype of DTYPES; what is too large becomes infinite, for `check_range`."""
    if factor.dtype.name == dtype:
        return factor
    with np.errstate(over="ignore"):
        return factor.astype(numpy_dtype(dtype))


def check_range(factor: Array, name: str, dtype: str) -> None:
    """Raise BadInput, naming the tensor, when rounding made a value infinite."""
    if not all_finite(np.ascontiguousarray(factor)):
        raise BadInput(
            f"tensor `{name}` holds values too large for {dtype}; nothing was written",
            hint=wider_than(dtype),
        )


def _to_numpy(x: Any) -> Array:
    if isinstance(x, np.ndarray):
        return x
    wide = upcast(x)  # exact; NumPy takes no bfloat16 from elsewhere
    return np.asarray(np.from_dlpack(wide.detach().cpu() if hasattr(wide, "detach") else wide))
