"""The new tensors' values, a block of rows at a time: nothing is ever held whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.baking.change import Rows, made_ready
from superpose.baking.plan import NewTensor
from superpose.baking.scratch import Scratch
from superpose.files.checkpoint import Checkpoint
from superpose.files.header import SIZES

Array = NDArray[Any]

BLOCK = 1 << 18
"""Values in a block: 1 MB in float32, which stays in a core's own cache."""


_ROUNDING = {"float32": 2.0**-24, "float64": 2.0**-53}
"""What one operation may cost, relative to its result."""


class Block(NamedTuple):
    """Rows begin to end of a tensor: as the base has them (as stored), and as they are to be.

    new: float32, or float64 where the base is or the adapter stores the tensor absolutely. noise:
    how far bake's own arithmetic may be from it, None unless asked for.
    """

    begin: int
    end: int
    base: Array
    new: Array
    noise: Array | None


def new_rows(
    checkpoint: Checkpoint,
    target: NewTensor,
    dtype: str = "float32",
    *,
    bounds: bool = False,
    scratch: Scratch | None = None,
) -> Iterator[Block]:
    """Give W_0 + change, a block of rows at a time; a block's arrays hold until the next is asked.

    dtype: least precision of the arithmetic, "float32" or "float64". bounds: give `noise` as well.
    scratch: memory that may be used.
    """
    memory = scratch or Scratch()
    plain = all(change.is_delta for change in target.changes)
    least = "float64" if target.dtype == "F64" or not plain else "float32"
    dtype = "float64" if "float64" in (dtype, least) else "float32"

    def base(begin: int, end: int) -> Iterator[tuple[int, int, Array]]:
        return stored_rows(checkpoint, target, begin, end, memory)

    with np.errstate(over="ignore", invalid="ignore"):  # whoever writes it sees what is not finite
        changes = [
            (change.at, change.at + change.height, rows)
            for change in target.changes
            for rows in made_ready(change, base, dtype)
        ]
    for begin, end, stored in base(0, target.rows):
        wide = memory.array("wide", stored.shape, dtype)
        np.copyto(wide, stored)
        # Not in place where a change asks for the base's values after another was added.
        new = wide if plain and not bounds else wide.copy()
        sizes = np.abs(wide) if bounds else None
        with np.errstate(over="ignore", invalid="ignore"):
            _add(changes, begin, end, wide, new, sizes, memory)
        noise = None if sizes is None else _ROUNDING[least] * (sizes + 2.0 * np.abs(new))
        yield Block(begin, end, stored, new, noise)


def _add(
    changes: list[tuple[int, int, Rows]],
    begin: int,
    end: int,
    base: Array,
    new: Array,
    sizes: Array | None,
    memory: Scratch,
) -> None:
    """Add to rows begin to end (in `new`), and to the sizes of what is added, what changes them."""
    for at, until, rows in changes:
        low, high = max(begin, at), min(end, until)
        if low < high:
            part = slice(low - begin, high - begin)
            out = memory.array("added", (high - low, base.shape[1]), base.dtype)
            new[part] += rows.rows(low - at, high - at, base[part], out)
            if sizes is not None:
                sizes[part] += rows.bound(low - at, high - at, base[part])


def stored_rows(
    checkpoint: Checkpoint, target: NewTensor, begin: int, end: int, memory: Scratch
) -> Iterator[tuple[int, int, Array]]:
    """Give (begin, end, rows) of a target's source, in its stored dtype; zeros without one."""
    step = max(1, BLOCK // max(target.columns, 1))
    width = SIZES[target.dtype]
    for low in range(begin, end, step):
        high = min(low + step, end)
        shape = high - low, target.columns
        if target.source is None:
            yield low, high, np.zeros(shape, np.float32)
        else:
            into = memory.array("stored", (shape[0] * shape[1] * width,), np.uint8)
            part = checkpoint.read_part(target.source, low * shape[1], high * shape[1], into)
            yield low, high, part.reshape(shape)
