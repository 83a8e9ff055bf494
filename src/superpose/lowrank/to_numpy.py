"""Small results leave the array's device: they come back as NumPy float64."""

from __future__ import annotations

import numpy as np
from array_api_compat import is_numpy_array, to_device

from superpose.lowrank.terms import Array


def to_numpy(x: Array) -> np.ndarray:
    """Give x as a NumPy float64 array, whatever namespace and device it is on.

    For the r x r leftovers of large products: their algebra is cheap, wants float64, and
    decompositions of that size are slower on a GPU than the copy.
    """
    if is_numpy_array(x):
        return np.asarray(x, dtype=np.float64)
    if hasattr(x, "detach"):  # A torch tensor that asks for a gradient does not convert.
        x = x.detach()
    return np.asarray(np.from_dlpack(to_device(x, "cpu")), dtype=np.float64)
