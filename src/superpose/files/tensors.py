"""Safetensors files to and from NumPy arrays, without torch.

Reading copies the data once into one buffer, of which every tensor is a read-only view: a file that
somebody overwrites later can neither change nor crash what was loaded from it, as a memory map
could. Writing streams the arrays in the order given and gives the same bytes for the same tensors
(the safetensors library orders metadata by chance and makes the file readable to its owner alone).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.files.finite import all_finite
from superpose.files.header import MAX_HEADER, Entry, Header, parse_header, write_header

Array = NDArray[Any]

LFS_START = b"version https://git-lfs"
"""First bytes of the pointer that Git leaves where a large file has not been fetched."""

FLOATS = {"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16"}
"""Dtypes of a header that a weight may have -> NumPy's name."""

EIGHT_BITS = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
"""Dtypes of a header that a factor may have as well, of which no sum is written."""

_HELD = FLOATS | EIGHT_BITS

INTEGERS = {"I32": "int32", "I64": "int64"}
"""Dtypes of a header that kohya's tools may give an alpha -> NumPy's name."""


class TensorFile(NamedTuple):
    """What a file holds: tensors by name (read-only), and its metadata."""

    tensors: dict[str, Array]
    metadata: dict[str, str]


def read_tensors(path: Path, *, integers: bool = False) -> TensorFile:
    """Read every tensor of a safetensors file of floats, of 8 to 64 bits each.

    integers: let int32 and int64 pass as well.

    Raises BadInput, naming file and tensor, when the file is missing, is something else (a Git LFS
    pointer, a pickle), lies about its contents, holds another dtype, or holds NaN or infinity.
    """
    with _naming(path), _opened(path) as file:
        header, length = _read_header(file)
        data = np.fromfile(file, dtype=np.uint8, count=length)
        if data.size < length:
            raise BadInput("the file became shorter while it was read")
        data.flags.writeable = False
        tensors = {n: _view(n, data, e, integers) for n, e in header.entries.items()}
        for name, tensor in tensors.items():
            if header.entries[name].dtype in _HELD:
                _check_finite(name, tensor)
        return TensorFile(tensors, header.metadata)


def read_header(path: Path) -> Header:
    """Read what a safetensors file announces, without its data; raises BadInput like the rest."""
    with _naming(path), _opened(path) as file:
        return _read_header(file)[0]


def write_tensors(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write a new safetensors file and wait until it is on the disk.

    tensors: of the dtypes that are read. Raises OSError as the system does.
    """
    names = {ours: theirs for theirs, ours in _HELD.items()}
    entries: dict[str, Entry] = {}
    at = 0
    for name, tensor in tensors.items():
        end = at + tensor.nbytes
        entries[name] = Entry(names[tensor.dtype.name], tensor.shape, at, end)
        at = end
    with path.open("xb") as file:
        file.write(write_header(entries, metadata))
        for tensor in tensors.values():
            # Through bytes, because the buffer protocol does not know ml_dtypes' bfloat16.
            file.write(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let every error of the reader below say which file it is about."""
    try:
        yield
    except BadInput as error:
        raise BadInput(error.problem, where=path, hint=error.hint) from error.__cause__
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}", where=path) from error


def _opened(path: Path) -> BinaryIO:
    # Before opening: opening a named pipe waits for somebody to write into it.
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadInput("is not a file")
    return path.open("rb")


def _read_header(file: BinaryIO) -> tuple[Header, int]:
    """Give the header and the length of the data, with the file standing at the data."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) == 8 and length <= size - 8:
        text = file.read(length if length <= MAX_HEADER else 1)
        if text.startswith(b"{"):
            _check_length(length)
            return parse_header(text, size - 8 - length), size - 8 - length
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


def lfs_pointer(path: Path | None = None) -> BadInput:
    """Give the error of a file of which Git LFS has fetched no more than a pointer."""
    return BadInput(
        "is a Git LFS pointer in place of the weights",
        where=path,
        hint="Fetch them: git lfs install && git lfs pull",
    )


def _view(name: str, data: Array, entry: Entry, integers: bool) -> Array:
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


def _check_finite(name: str, tensor: Array) -> None:
    if all_finite(tensor):
        return
    bad = int(np.count_nonzero(~np.isfinite(tensor.astype(np.float64))))
    raise BadInput(
        f"tensor `{name}` holds NaN or infinity ({bad:,} of {tensor.size:,} values)",
        hint="Training most likely diverged or overflowed; take an earlier checkpoint.",
    )
