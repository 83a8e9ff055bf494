"""The values of a GGUF tensor, of whatever type, a block of rows at a time.

F32, F16, BF16 and F64 are numbers; every other type is quantised: some values of a row share a
scale. What is quantised is read, and written again where it can, by the package `gguf`, llama.cpp's
own. Source: gguf 0.19, quants.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.errors import Refused, missing_extra
from superpose.files.tensors import numpy_dtype
from superpose.formats.gguf.header import BF16, BLOCKS, F16, F32, F64

Array = NDArray[Any]

PLAIN = {F32: "float32", F16: "float16", F64: "float64", BF16: "bfloat16"}
"""Types whose values are numbers of their own, as NumPy calls them."""

TYPE_OF = {name: kind for kind, name in PLAIN.items()}


class GgufType(NamedTuple):
    """A tensor's type. number: ggml's. values, size: of one block, the values and the bytes.

    name: as llama.cpp writes it.
    """

    number: int
    name: str
    values: int
    size: int

    @property
    def plain(self) -> bool:
        """Whether it is no quantised type."""
        return self.number in PLAIN

    def row_bytes(self, columns: int) -> int:
        """Give the bytes of a row; raises Refused where blocks do not make up one."""
        if columns % self.values:
            raise Refused(f"rows of {columns} are no whole blocks of {self.name}")
        return columns // self.values * self.size


def type_of(number: int) -> GgufType:
    """Give a type by ggml's number.

    Raises Refused for one that the package gguf does not know, MissingExtra without that package
    where it is a quantised one.
    """
    if number in PLAIN:
        return GgufType(number, PLAIN[number], *BLOCKS[number])
    library = _library()
    try:
        kind = library.GGMLQuantizationType(number)
        return GgufType(number, kind.name, *library.GGML_QUANT_SIZES[kind])
    except (ValueError, KeyError):
        raise Refused(f"is of ggml's type {number}, which the package gguf does not know") from None


def check_writable_type(kind: GgufType) -> None:
    """Raise Refused for a type whose values cannot be changed: only llama.cpp itself writes it."""
    if kind.plain:
        return
    library = _library()
    row = np.zeros((1, kind.values), np.float32)
    try:
        packed = library.quants.quantize(row, library.GGMLQuantizationType(kind.number))
        library.quants.dequantize(packed, library.GGMLQuantizationType(kind.number))
    except NotImplementedError:
        raise Refused(
            f"is {kind.name}, which the package gguf does not write",
            hint="Take --dtype float16 (in Python: dtype='float16'), which writes the tensors that "
            "change in that type, or a base in F16, BF16 or Q8_0. llama-quantize makes the result "
            "small again.",
        ) from None


def unpacked(raw: Array, kind: GgufType, columns: int) -> Array:
    """Give values (rows, columns) of bytes: float32, float64 where they are stored in that."""
    if kind.number == F64:
        return raw.view("<f8").reshape(-1, columns)
    if kind.plain:
        return raw.view(numpy_dtype(kind.name)).reshape(-1, columns).astype(np.float32)
    library = _library()
    rows = raw.reshape(-1, kind.row_bytes(columns))
    return np.asarray(library.quants.dequantize(rows, library.GGMLQuantizationType(kind.number)))


def packed(values: Array, kind: GgufType) -> Array:
    """Give the bytes of values (rows, columns), each rounded once, or quantised."""
    if kind.plain:
        with np.errstate(over="ignore"):  # whoever writes it sees what is not finite
            return np.ascontiguousarray(values.astype(numpy_dtype(kind.name))).view(np.uint8)
    library = _library()
    with np.errstate(all="ignore"):
        found = library.quants.quantize(
            np.ascontiguousarray(values, np.float32), library.GGMLQuantizationType(kind.number)
        )
    return np.ascontiguousarray(found).view(np.uint8)


def _library() -> Any:
    try:
        import gguf
        import gguf.quants
    except ImportError as error:
        raise missing_extra("gguf", "a quantised GGUF model") from error
    return gguf
