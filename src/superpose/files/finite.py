"""Are all values finite? Answered on the bits, several times quicker than `isfinite`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 16
"""Values looked at together: few enough for their shifted copy to stay in the cache."""

# Unsigned integer of the same width, and the exponent's bits shifted left by one. NaN and infinity
# are the values whose exponent is all ones; the shift drops the sign, so they are exactly the ones
# that are not below this limit.
_BITS: dict[str, tuple[Any, int]] = {
    "float16": (np.uint16, 0xF800),
    "bfloat16": (np.uint16, 0xFF00),
    "float32": (np.uint32, 0xFF00_0000),
    "float64": (np.uint64, 0xFFE0_0000_0000_0000),
}


def all_finite(x: NDArray[np.generic]) -> bool:
    """Say whether x (any shape, C-contiguous, float16, bfloat16, float32 or float64) is finite."""
    unsigned, limit = _BITS[x.dtype.name]
    bits = x.reshape(-1).view(unsigned)
    one = unsigned(1)
    for start in range(0, bits.size, CHUNK):
        if int(np.left_shift(bits[start : start + CHUNK], one).max()) >= limit:
            return False
    return True
