"""Where large products are taken: in NumPy, or on torch tensors on a device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from superpose.errors import BadSetting

__all__ = ["place_on"]


def place_on(device: str | None) -> Callable[[Any], Any] | None:
    """Give what brings a NumPy array to a device as a torch tensor; None for NumPy.

    device: as torch calls it (cuda, cuda:1, mps, cpu), or `auto`, NumPy where it finds no
    accelerator; None is NumPy.

    Raises BadSetting for a device that torch does not know or that is not here, or where torch
    would round products more than float32 does; MissingExtra without torch.
    """
    if device is None:
        return None
    import torch

    from superpose.model.device import device_here

    place = device_here(device)
    if place is None:
        return None
    if place.startswith("cuda") and torch.get_float32_matmul_precision() != "highest":
        raise BadSetting(
            "torch is set to multiply float32 more coarsely than float32 is",
            where="device",
            hint='Set it back: torch.set_float32_matmul_precision("highest")',
        )
    return partial(_moved, place)


def _moved(device: str, x: Any) -> Any:
    import torch

    return torch.from_numpy(x).to(device)
