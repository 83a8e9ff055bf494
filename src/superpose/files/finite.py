"""Are all values finite? Answered on the bits, several times quicker than `isfinite`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 16
"""Values looked at together: few enough to stay in the cache for the second look."""

# Width in bits, and the bits of positive infinity. NaN and infinity are the values whose exponent
# is all ones: as integers, none is above them of the same sign.
_BITS = {
    "float8_e4m3fn": (8, 0x7F),  # has no infinity: NaN alone has all bits of a sign
    "float8_e5m2": (8, 0x7C),
    "float16": (16, 0x7C00),
    "bfloat16": (16, 0x7F80),
    "float32": (32, 0x7F80_0000),
    "float64": (64, 0x7FF0_0000_0000_0000),
}


def all_finite(x: NDArray[np.generic]) -> bool:
    """Say whether x (any shape, C-contiguous, of a dtype above) is finite."""
    width, infinity = _BITS[x.dtype.name]
    signed = x.reshape(-1).view(f"i{width // 8}")
    unsigned = signed.view(f"u{width // 8}")
    minus_infinity = infinity | 1 << (width - 1)
    for start in range(0, signed.size, CHUNK):
        chunk = slice(start, start + CHUNK)
        # The largest signed integer belongs to a positive value, the largest unsigned one to a
        # negative value, where there is one.
        if int(signed[chunk].max()) >= infinity or int(unsigned[chunk].max()) >= minus_infinity:
            return False
    return True
