"""Tensors of torch as NumPy arrays that share their memory, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from superpose.errors import Refused
from superpose.files.tensors import numpy_dtype

Array = NDArray[Any]

_BITS = {
    torch.bfloat16: (torch.int16, "bfloat16"),
    torch.float8_e4m3fn: (torch.uint8, "float8_e4m3fn"),
    torch.float8_e5m2: (torch.uint8, "float8_e5m2"),
}
"""Dtypes that NumPy has not: the integers of their size, and what ml_dtypes calls them."""


def as_array(tensor: torch.Tensor, name: str) -> Array:
    """Give a tensor as an array, read-only, in its own dtype. name: what it is called.

    Raises Refused for one that has no values here: on the meta device, or a part of it elsewhere.
    """
    if tensor.device.type == "meta":
        raise Refused(
            f"`{name}` lies on the meta device: it has no values here",
            hint="Load the model whole (without offloading), or add the adapters' files: "
            "superpose add.",
        )
    flat = tensor.detach().cpu()
    if flat.dtype in _BITS:
        integers, own = _BITS[flat.dtype]
        array = flat.contiguous().view(integers).numpy().view(numpy_dtype(own))
    else:
        array = np.asarray(flat.numpy())
    view: Array = array.view()
    view.flags.writeable = False
    return view


def as_tensor(array: Array) -> torch.Tensor:
    """Give an array that NumPy knows the dtype of as a tensor of its own."""
    return torch.from_numpy(np.array(array))


__all__ = ["as_array", "as_tensor"]
