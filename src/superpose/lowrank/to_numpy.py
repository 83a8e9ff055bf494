"""Small results leave the array's device: they come back as NumPy float64."""

from __future__ import annotations

import numpy as np
from array_api_compat import is_numpy_array, is_torch_array

from superpose.lowrank.terms import Array


def to_numpy(x: Array) -> np.ndarray:
    """Give x as a NumPy float64 array, whatever namespace and device it is on.

    For the r x r leftovers of large products: their algebra is cheap, wants float64, and
    decompositions of that size are slower on a GPU than the copy.
    """
    if is_torch_array(x):
        x = x.detach().cpu()
    return np.asarray(x if is_numpy_array(x) else np.from_dlpack(x), dtype=np.float64)
