"""How finely a dtype holds numbers, and whether two tensors are one but for that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.files.tensors import EIGHT_BITS, FLOATS, numpy_dtype

Array = NDArray[Any]
Pairs = Iterable[tuple[Array, Array]]

_COARSER = ("float32", "float16", "bfloat16")
"""What a tensor may have been rounded to on its way into another file, whatever holds it there."""


def rounding_unit(dtype: str) -> float:
    """Give the distance of 1 and the next larger number; dtype: a header's name, or NumPy's."""
    return float(_limits(dtype).eps)


def spacing(x: Array, dtype: str) -> Array:
    """Give the distance of neighbouring numbers of a dtype at each value of x, float64."""
    limits = _limits(dtype)
    exponent = np.where(x == 0.0, limits.minexp, np.frexp(x)[1] - 1)
    return np.asarray(np.ldexp(1.0, np.maximum(exponent, limits.minexp) - limits.nmant))


def one_up_to_rounding(pairs: Callable[[], Pairs]) -> bool:
    """Say whether two tensors are one: equal, or the one is the other rounded to some dtype.

    pairs: gives both, a block of each at a time, as often as it is asked.
    """
    ways = [(None, None), *((d, None) for d in _COARSER), *((None, d) for d in _COARSER)]
    return any(
        all(np.array_equal(_rounded(x, a), _rounded(y, b)) for x, y in pairs()) for a, b in ways
    )


def _rounded(x: Array, dtype: str | None) -> Array:
    with np.errstate(over="ignore"):
        return (x if dtype is None else x.astype(numpy_dtype(dtype))).astype(np.float64)


def _limits(dtype: str) -> Any:
    import ml_dtypes  # who only reads does not pay for it

    finfo: Any = ml_dtypes.finfo
    return finfo(numpy_dtype((FLOATS | EIGHT_BITS).get(dtype, dtype)))
