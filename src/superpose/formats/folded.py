"""Deltas as the two factors each that go into a file, whatever its format, and what rounding cost.

The coefficients are folded into B, so that the scaling is 1 whoever computes it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, SuperposeWarning
from superpose.files.finite import all_finite
from superpose.files.tensors import EIGHT_BITS, numpy_dtype
from superpose.formats.rounding import Loss
from superpose.lowrank import Term, dtype_name, norm, upcast

Array = NDArray[Any]

DTYPES = ("bfloat16", "float16", "float32", "float64")
"""Dtypes that a file may be written in."""

MUCH_LOST = 0.01
"""Rounding error that is said: bfloat16, the coarsest, costs a third of it unless values cancel."""

_FACTOR_OF_FLOAT32 = 1e-6
"""Coefficients of this size, up to its inverse, leave what a half holds within float32's range."""


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
    """Let a dtype that can be written pass; raises BadInput for any other."""
    if dtype not in DTYPES:
        raise BadInput(f"dtype is {dtype!r}; it can be {', '.join(DTYPES)}")
    return dtype


def written_bytes(tensors: Mapping[str, Array]) -> int:
    """Give how many bytes the tensors take."""
    return sum(tensor.nbytes for tensor in tensors.values())


def check_loss(error: float, something: bool, dtype: str) -> None:
    """Refuse a sum of which nothing is left, say it when much is lost.

    something: whether a module is left whose factors are not zero.
    """
    if error <= MUCH_LOST:
        return
    wider = "float32" if dtype in ("float16", "bfloat16") else "float64"
    remedy = f"--dtype {wider} holds more." if dtype != "float64" else "Use larger task weights."
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


def rounding_error(deltas: Mapping[str, Delta], losses: Mapping[str, Loss]) -> float:
    """Give |written - exact| / |exact|, Frobenius norms over all of these deltas together."""
    lost = math.hypot(*(found.lost for found in losses.values()))
    if lost == 0.0:
        return 0.0
    sizes = [
        norm(deltas[module].terms) if found.exact is None else found.exact
        for module, found in losses.items()
    ]
    size = math.hypot(*sizes)
    return lost / size if size > 0.0 else 0.0


def exact_term(delta: Delta, dtype: str) -> Term:
    """Give the delta as one term of NumPy factors before rounding: the scaling is in B.

    B is float32, for files as precise as that, or coefficients beyond its reach, float64: what
    rounding costs is measured against it.
    A is left in the file's dtype where all of it is in that already.
    """
    precision = "float32" if dtype in ("float16", "bfloat16") and _ordinary(delta) else "float64"
    terms = [Term(t.coefficient, _to_numpy(t.B), _to_numpy(t.A)) for t in delta.terms]
    B = np.empty((delta.shape[0], delta.rank), precision)
    at = 0
    with np.errstate(over="ignore"):  # an overflow is found, and named, after the cast
        for t in terms:
            # Into its place at once: three times quicker than scaling and joining.
            columns = slice(at, at + t.B.shape[1])
            np.multiply(upcast(t.B, precision), t.coefficient, out=B[:, columns])
            at = columns.stop
    as_written = all(dtype_name(t.A) == dtype for t in terms)
    A = [t.A if as_written else upcast(t.A, precision) for t in terms]
    return Term(1.0, B, np.concatenate(A, axis=0))


def _ordinary(delta: Delta) -> bool:
    sizes = [abs(term.coefficient) for term in delta.terms]
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
            hint="Choose a wider dtype, for example --dtype float32.",
        )


def _to_numpy(x: Any) -> Array:
    if isinstance(x, np.ndarray):
        return x
    wide = upcast(x)  # exact; NumPy takes no bfloat16 from elsewhere
    return np.asarray(np.from_dlpack(wide.detach().cpu() if hasattr(wide, "detach") else wide))
