"""Where large products are taken: in NumPy, or on torch tensors on a device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from superpose.errors import BadSetting, Missing

__all__ = ["place_on"]

AUTO = "auto"
"""The accelerator that torch finds, and NumPy where it finds none."""


def place_on(device: str | None) -> Callable[[Any], Any] | None:
    """Give what brings a NumPy array to a device as a torch tensor; None for NumPy.

    device: as torch calls it (cuda, cuda:1, mps, cpu), or `auto`; None is NumPy.

    Raises BadSetting for a device that torch does not know, or where torch would round products
    more than float32 does, Missing for one that is not here, MissingExtra without torch.
    """
    if device is None:
        return None
    import torch

    if device == AUTO:
        found = torch.accelerator.current_accelerator()
        if found is None:
            return None
        device = str(found)
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise BadSetting(
            f"{device!r} is no device that torch knows",
            where="device",
            hint="Such as cuda, cuda:1, mps or cpu; auto takes what is there.",
        ) from error
    try:
        torch.zeros(1, device=named)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        raise Missing(
            f"torch cannot use the device {device!r}: {str(error).splitlines()[0]}",
            where="device",
            hint="Leave --device out to take products in NumPy, or install the torch of your GPU.",
        ) from error
    if named.type == "cuda" and torch.get_float32_matmul_precision() != "highest":
        raise BadSetting(
            "torch is set to multiply float32 more coarsely than float32 is",
            where="device",
            hint='Set it back: torch.set_float32_matmul_precision("highest")',
        )
    return partial(_moved, device)


def _moved(device: str, x: Any) -> Any:
    import torch

    return torch.from_numpy(x).to(device)
