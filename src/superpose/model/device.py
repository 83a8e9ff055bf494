"""A device by the name that torch has for it: looked at before anything is brought there."""

from __future__ import annotations

from superpose.errors import BadSetting

__all__ = ["AUTO", "device_here", "index_of"]

AUTO = "auto"
"""The accelerator that torch finds, and none where it finds none."""


def device_here(name: str) -> str | None:
    """Give the device that is meant, once it has held a number; None for `auto` without one.

    name: as torch calls it (cpu, cuda, cuda:1, mps), or `auto`.

    Raises BadSetting for one that torch does not know, or that is not on this machine.
    """
    import torch

    found = torch.accelerator.current_accelerator()
    if name == AUTO:
        return None if found is None else str(found)
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BadSetting(
            f"{name!r} is no device that torch knows",
            where="device",
            hint="Such as cpu, cuda, cuda:1 or mps; auto takes an accelerator where there is one.",
        ) from None
    try:
        torch.zeros(1, device=device).cpu()  # `meta` gives nothing back
    except (AssertionError, RuntimeError, NotImplementedError, ImportError) as error:
        raise BadSetting(
            f"torch cannot use the device {name!r} here: {_first_line(error)}",
            where="device",
            hint="torch finds no accelerator here. Leave `device` out for the CPU, or install the "
            "torch that fits your GPU."
            if found is None
            else f"torch finds {found} here. Leave `device` out for it.",
        ) from None
    return str(device)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]


def index_of(name: str | None) -> int:
    """Give the number of a device among those of its kind: 1 of `cuda:1`, 0 where none stands."""
    number = (name or "").partition(":")[2]
    return int(number) if number.isdecimal() else 0
