"""Safetensors files to and from NumPy arrays, without torch.

Reading copies the data once into one buffer, of which every tensor is a read-only view: a file that
somebody overwrites later can neither change nor crash what was loaded from it, as a memory map
could. Writing streams the arrays in the order given and gives the same bytes for the same tensors
(the safetensors library orders metadata by chance and makes the file readable to its owner alone).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput, placed
from superpose.files.finite import all_finite
from superpose.files.header import MAX_HEADER, Header, TensorEntry, parse_header, write_header
from superpose.files.json_values import LFS_START, lfs_pointer

Array = NDArray[Any]

FLOATS = {"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16"}
"""Dtypes of a header that a weight may have -> NumPy's name."""

EIGHT_BITS = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
"""Dtypes of a header that a factor may have as well, of which no sum is written."""

_HELD = FLOATS | EIGHT_BITS

_SHORTER = "the file became shorter while it was read"

INTEGERS = {"I32": "int32", "I64": "int64"}
"""Dtypes of a header that kohya's tools may give an alpha -> NumPy's name."""


class FilePart(NamedTuple):
    """One file's share. start: where its data begins. stamp: tells whether the file is the same."""

    path: Path
    header: Header
    start: int
    stamp: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class TensorFile:
    """A safetensors file, or several that together are one. Its header is read when it is opened.

    tensors: by name (read-only), none until `read`.
    """

    header: Header
    parts: tuple[FilePart, ...]
    tensors: Mapping[str, Array] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, str]:
        """Of the header."""
        return self.header.metadata

    def read(self, *, integers: bool = False) -> TensorFile:
        """Give the same file with every tensor, of floats of 8 to 64 bits each.

        integers: let int32 and int64 pass as well.

        Raises BadInput, naming file and tensor, when the file is another one by now, holds another
        dtype, or holds NaN or infinity.
        """
        tensors: dict[str, Array] = {}
        for part in self.parts:
            tensors |= _tensors(part, integers)
        return replace(self, tensors=tensors)


def open_tensors(path: Path) -> TensorFile:
    """Open a safetensors file, of which no more than the header is read.

    Raises BadInput, naming the file, when it is missing, is something else (a Git LFS pointer, a
    pickle) or lies about its contents.
    """
    with placed(path), opened(path) as file:
        header = _read_header(file)
        return TensorFile(header, (FilePart(path, header, file.tell(), _stamp(file)),))


def read_header(path: Path) -> Header:
    """Read what a safetensors file announces, without its data; raises as `open_tensors` does."""
    return open_tensors(path).header


def _tensors(part: FilePart, integers: bool) -> dict[str, Array]:
    entries = part.header.entries
    length = max((entry.end for entry in entries.values()), default=0)
    with placed(part.path), opened(part.path) as file:
        if _stamp(file) != part.stamp:
            raise BadInput("was written anew while it was read")
        file.seek(part.start)
        data = read_bytes(file, length)
        data.flags.writeable = False
        tensors = {n: _view(n, data, e, integers) for n, e in entries.items()}
        for name, tensor in tensors.items():
            if entries[name].dtype in _HELD:
                check_finite(name, tensor)
        return tensors


def write_tensors(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file and wait until it is on the disk.

    tensors: of the dtypes that are read. Raises OSError as the system does.
    """
    header = write_header(_entries(tensors), metadata)
    with path.open("wb") as file:
        file.write(header)
        for tensor in tensors.values():
            # Through bytes, because the buffer protocol does not know ml_dtypes' bfloat16.
            file.write(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
        file.flush()
        os.fsync(file.fileno())


def length_of_file(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> int:
    """Give how many bytes `write_tensors` writes."""
    data = sum(tensor.nbytes for tensor in tensors.values())
    return len(write_header(_entries(tensors), metadata)) + data


def _entries(tensors: Mapping[str, Array]) -> dict[str, TensorEntry]:
    """Give what a header announces, the tensors behind each other in the order given."""
    names = {ours: theirs for theirs, ours in _HELD.items()}
    entries: dict[str, TensorEntry] = {}
    at = 0
    for name, tensor in tensors.items():
        end = at + tensor.nbytes
        entries[name] = TensorEntry(names[tensor.dtype.name], tensor.shape, at, end)
        at = end
    return entries


def opened(path: Path) -> BinaryIO:
    """Open a file for reading; BadInput for a folder or a named pipe, which would wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadInput("is not a file")
    return path.open("rb")


def read_bytes(file: BinaryIO, count: int, short: str = _SHORTER) -> Array:
    """Read that many bytes, from where the file stands; BadInput(short) where it ends before.

    Not by np.fromfile, which looks first whether it was given a path: a Ctrl-C meanwhile comes out
    as a TypeError (NumPy 2.4).
    """
    data = np.empty(count, np.uint8)
    if file.readinto(data.data) < count:  # type: ignore[attr-defined]
        raise BadInput(short)
    return data


def _stamp(file: BinaryIO) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read_header(file: BinaryIO) -> Header:
    """Give the header, with the file standing at the data."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) == 8 and length <= size - 8:
        text = file.read(length if length <= MAX_HEADER else 1)
        if text.startswith(b"{"):
            _check_length(length)
            return parse_header(text, size - 8 - length)
    file.seek(0)
    raise _not_safetensors(file.read(64), size)


def _check_length(length: int) -> None:
    if length > MAX_HEADER:
        raise BadInput(
            f"has a header of {length:,} bytes; superpose reads up to {MAX_HEADER:,}",
            hint="The safetensors library itself reads up to 100 MB; no LoRA adapter needs that.",
        )


def _not_safetensors(start: bytes, size: int) -> BadInput:
    if start.startswith(LFS_START):
        return lfs_pointer()
    if start.startswith((b"PK\x03\x04", b"\x80\x02")):
        return BadInput("is a PyTorch pickle, not safetensors, whatever its name says")
    if start.startswith(b"GGUF"):
        return BadInput("is a GGUF file, not safetensors")
    if start.lstrip()[:1] == b"<":
        return BadInput("is a web page, not safetensors; the download went wrong")
    if start[8:9] == b"{":
        return BadInput(f"truncated: only {size:,} bytes, fewer than its header takes")
    return BadInput(f"is not a safetensors file ({size:,} bytes)")


def _view(name: str, data: Array, entry: TensorEntry, integers: bool) -> Array:
    dtype = _HELD.get(entry.dtype) or (INTEGERS.get(entry.dtype) if integers else None)
    if dtype is None:
        raise BadInput(
            f"tensor `{name}` is {entry.dtype}; factors are "
            "float32, float16, bfloat16, float64 or float8"
        )
    return data[entry.begin : entry.end].view(numpy_dtype(dtype)).reshape(entry.shape)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Give the dtype of this name, bfloat16 and eight bits too, little-endian as in a file."""
    if name in ("float16", "float32", "float64") or name in INTEGERS.values():
        return np.dtype(name).newbyteorder("<")
    import ml_dtypes  # only an adapter that holds one of its dtypes pays for it

    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype


def check_finite(name: str, tensor: Array) -> None:
    """Raise BadInput, naming the tensor, where a value is NaN or infinite."""
    if all_finite(tensor):
        return
    with np.errstate(invalid="ignore"):  # some bits of NaN make a cast say so
        bad = int(np.count_nonzero(~np.isfinite(tensor.astype(np.float64))))
    raise BadInput(
        f"tensor `{name}` holds NaN or infinity ({bad:,} of {tensor.size:,} values)",
        hint="Training most likely diverged or overflowed; take an earlier checkpoint.",
    )
