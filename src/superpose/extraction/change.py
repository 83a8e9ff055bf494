"""What fine-tuning did to one tensor, read from both models a few rows at a time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.files.checkpoint import Checkpoint

Array = NDArray[Any]

CHUNK = 1 << 20
"""Values of each model that are read at once."""

_LARGEST = float(np.finfo(np.float32).max)


class TensorChange(NamedTuple):
    """Fine-tuned minus base.

    matrix: the difference, float32, or float64 where one of the two is; None where it was not
    wanted or is zero. norm, base: Frobenius norms of the difference and of the base's tensor.
    """

    matrix: Array | None
    norm: float
    base: float

    @property
    def relative(self) -> float:
        """Size of a change beside the base's tensor; infinite where that is zero."""
        return self.norm / self.base if self.base > 0.0 else math.inf


def change_between(
    base: Checkpoint, base_name: str, tuned: Checkpoint, tuned_name: str, *, wanted: bool
) -> TensorChange:
    """Give what fine-tuning did to a tensor of one shape in both models.

    wanted: whether the difference is to be kept, or only measured: then no more than a row, or
    CHUNK values, of each model are in memory.

    Raises BadInput, naming model and tensor, when a file holds NaN or infinity or does not give the
    tensor.
    """
    entry = base.entry(base_name)
    wide = "F64" in (entry.dtype, tuned.entry(tuned_name).dtype)
    matrix = np.empty(entry.shape, np.float64 if wide else np.float32) if wanted else None
    norms, sizes = [0.0], [0.0]
    for begin, end in _parts(entry.shape):
        before = _rows(base, base_name, begin, end)
        after = _rows(tuned, tuned_name, begin, end)
        with np.errstate(invalid="ignore"):  # infinity minus infinity is found below
            difference = after - before
        norms.append(float(np.linalg.norm(difference)))
        sizes.append(float(np.linalg.norm(before)))
        if not math.isfinite(norms[-1]):
            raise _not_finite(base, base_name, before, tuned, tuned_name)
        if matrix is not None:
            matrix[begin:end] = _narrowed(difference, matrix, tuned.path(tuned_name), tuned_name)
    norm = math.hypot(*norms)
    return TensorChange(matrix if norm > 0.0 else None, norm, math.hypot(*sizes))


def _parts(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    rows, *rest = shape or (1,)
    step = max(1, CHUNK // max(1, math.prod(rest)))
    return [(begin, min(begin + step, rows)) for begin in range(0, rows, step)]


def _rows(model: Checkpoint, name: str, begin: int, end: int) -> Array:
    """Read rows in float64: the difference of two float32 values need not be one of them."""
    with np.errstate(invalid="ignore"):  # some bits of NaN make a cast say so; NaN is found later
        if not model.entry(name).shape:
            return model.read(name).astype(np.float64).reshape(1)
        return model.read_rows(name, begin, end).astype(np.float64)


def _narrowed(difference: Array, matrix: Array, path: Path, name: str) -> Array:
    if matrix.dtype == np.float32 and np.abs(difference).max(initial=0.0) > _LARGEST:
        raise BadInput(f"tensor `{name}` differs by more than float32 holds", where=path)
    return difference.astype(matrix.dtype)


def _not_finite(
    base: Checkpoint, base_name: str, before: Array, tuned: Checkpoint, tuned_name: str
) -> BadInput:
    broken = not np.isfinite(before).all()
    model, name = (base, base_name) if broken else (tuned, tuned_name)
    return BadInput(f"tensor `{name}` holds NaN or infinity", where=model.path(name))
