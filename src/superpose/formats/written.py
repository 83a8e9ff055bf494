"""What was written, whatever the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Written:
    """What was written. rank: the largest. bytes: of the weights file's tensors.

    rounding_error: |written - exact| / |exact|, Frobenius norms over all modules. carried: names of
    files that all parents have beside them and that lie beside it as well.
    """

    path: Path
    rank: int
    dtype: str
    rounding_error: float
    bytes: int
    modules: int
    carried: tuple[str, ...] = ()


def written_bytes(tensors: Mapping[str, NDArray[Any]]) -> int:
    """Give how many bytes the tensors take."""
    return sum(tensor.nbytes for tensor in tensors.values())
