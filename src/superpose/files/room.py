"""Room on the disk, asked for before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path

from superpose.errors import BadInput

__all__ = ["check_model_room"]


def check_model_room(target: Path, total: int, spare: int) -> None:
    """Refuse a model that the disk will not take in the end.

    target: where it will lie; folders above it need not be there. total: its bytes. spare: bytes
    beside them. Raises BadInput.
    """
    place = next(p for p in (target.absolute(), *target.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(place).free
    if total + spare > free:
        raise BadInput(
            f"the model takes {_told(total)}, with {_told(spare)} to spare, and the disk has "
            f"{_told(free)} free",
            where=target,
        )


def _told(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.2f} MB"
