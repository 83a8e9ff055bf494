"""An adapter to a GGUF LoRA file that every version of llama.cpp scales alike.

One rank for all tensors (smaller ones padded with zeros) and alpha equal to it: llama.cpp computes
alpha / rank, rank from the tensor itself, and that is 1 here; so it is for every reader of the
file that knows nothing of alpha 0 meaning 1.
Source: llama.cpp, src/llama-adapter.h, `llama_adapter_lora_weight::get_scale`, alike since LoRA
files are GGUF (pull request 8332).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Place, place_of
from superpose.errors import BadInput, BadSetting, OutputExists, missing_extra
from superpose.files import check_free_file, encodable, new_file
from superpose.files.file_format import LLAMA_CPP
from superpose.formats.folded import Folded, fold
from superpose.formats.gguf.base import base_numbers, read_base
from superpose.formats.gguf.header import read_gguf_header
from superpose.formats.gguf.read import ALPHA
from superpose.formats.gguf.translate import (
    ARCHITECTURE,
    check_architecture,
    to_llama_cpp,
)
from superpose.formats.noted import KEY, note_of
from superpose.formats.written import Written, written_bytes

if TYPE_CHECKING:
    from gguf import GGUFWriter

Array = NDArray[Any]

DTYPES = ("float32", "float16", "bfloat16")
"""What the factors may be written in; the first unless told. llama.cpp rounds the layers' inputs to
the dtype of the factors before it multiplies, so that a half costs more than its own rounding."""


def checked_gguf_dtype(dtype: str | None) -> str:
    """Give the dtype to write; raises BadSetting for one that llama.cpp adapters do not have."""
    if dtype is None:
        return DTYPES[0]
    if dtype not in DTYPES:
        raise BadSetting(
            f"{dtype!r} is none of {', '.join(DTYPES)}, which GGUF can be", where="dtype"
        )
    return dtype


def check_gguf_output(
    path: str | os.PathLike[str], *, dtype: str | None = None, force: bool = False
) -> None:
    """Raise what `write_gguf` would raise for these options; ask before a long computation.

    OutputExists when it could not write to `path`: `force` replaces an adapter and nothing else,
    the base model's own file least of all. BadInput for a dtype that it cannot be. MissingExtra
    without the package gguf.
    """
    target = Path(path)
    checked_gguf_dtype(dtype)
    check_free_file(target, force=force)
    if target.exists():
        try:
            adapter = read_gguf_header(target).metadata.get("general.type") == "adapter"
        except BadInput:
            adapter = False
        if not adapter:
            raise OutputExists("is not an adapter; nothing was written", where=path)
    _library()


def write_gguf(
    adapter: Adapter,
    path: str | os.PathLike[str],
    *,
    base: str | os.PathLike[str] | None = None,
    dtype: str | None = None,
    force: bool = False,
) -> Written:
    """Write an adapter as a GGUF LoRA file, whole or not at all.

    base: the base model (see `read_base`); None where the adapter tells it and it is here. dtype:
    one of DTYPES. force: replace an adapter that stands at `path`.

    Raises OutputExists before any work is done, MissingExtra without the package gguf, MissingBase
    and Refused as `to_llama_cpp` does, DifferentBase for a sum of two architectures, BadInput when
    a value does not fit the dtype.
    """
    check_gguf_output(path, dtype=dtype, force=force)
    chosen = checked_gguf_dtype(dtype)
    library = _library()
    named = _under_llama_cpps_names(adapter, base)
    factors = fold(named, chosen, compact=False, name=partial(_factor_name, named))
    tensors = dict(_tensors(named, factors))
    rank = max(factors.ranks.values())
    written = Written(
        path=Path(path),
        rank=rank,
        dtype=chosen,
        rounding_error=factors.rounding_error,
        bytes=written_bytes(tensors),
        modules=len(tensors) // 2,
    )
    with new_file(Path(path)) as part:
        writer = library.GGUFWriter(part, named.metadata[ARCHITECTURE])
        try:
            _add_metadata(writer, named, rank, factors.rounding_error)
            for name, tensor in tensors.items():
                _add_tensor(writer, name, tensor, library)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
    return written


def _library() -> Any:
    try:
        import gguf
    except ImportError as error:
        raise missing_extra("gguf", "writing GGUF") from error
    return gguf


def _under_llama_cpps_names(adapter: Adapter, base: str | os.PathLike[str] | None) -> Adapter:
    if adapter.format != LLAMA_CPP.name:
        return to_llama_cpp(adapter, base_numbers(adapter, base))
    check_architecture(adapter, None if base is None else read_base(base))
    return adapter


def _factor_name(adapter: Adapter, key: str, side: str) -> str:
    return _name(place_of(key, adapter[key].place), side.lower())


def _tensors(adapter: Adapter, factors: Folded) -> Iterator[tuple[str, Array]]:
    """Give the tensors to write by name: lora_a and lora_b of each, as NumPy lays them out."""
    stacks: dict[str, dict[int, tuple[Array, Array]]] = {}
    blocks: dict[str, int] = {}
    for key, (B, A) in factors.pairs.items():
        place = place_of(key, adapter[key].place)
        if place.kind == "experts":
            stacks.setdefault(place.module, {})[place.block] = B, A
            blocks[place.module] = place.blocks
            continue
        yield _name(place, "a"), np.ascontiguousarray(A.T) if place.kind == "embedding" else A
        yield _name(place, "b"), B
    for name, pairs in stacks.items():
        yield from _stack(Place(name), pairs, blocks[name])


def _stack(
    place: Place, pairs: Mapping[int, tuple[Array, Array]], blocks: int
) -> Iterator[tuple[str, Array]]:
    """Put the experts' factors behind each other; one that has none gets zeros."""
    for side, index in (("a", 1), ("b", 0)):
        some = next(iter(pairs.values()))[index]
        stack = np.zeros((blocks, *some.shape), some.dtype)
        for block, pair in pairs.items():
            stack[block] = pair[index]
        yield _name(place, side), stack


def _name(place: Place, side: str) -> str:
    return f"{place.module}.weight.lora_{side}"


def _add_metadata(writer: GGUFWriter, adapter: Adapter, rank: int, rounding_error: float) -> None:
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32(ALPHA, float(rank))
    writer.add_name(encodable(adapter.title))
    if not adapter.made.plain:
        writer.add_description(encodable(str(adapter.made)))
    if adapter.base_model:
        writer.add_string("superpose.base_model", encodable(adapter.base_model))
    for key, text in adapter.metadata.items():
        if key != ARCHITECTURE:
            writer.add_string(key, encodable(text))
    writer.add_string(KEY, note_of(adapter, rounding_error))


def _add_tensor(writer: GGUFWriter, name: str, tensor: Array, library: Any) -> None:
    if tensor.dtype.name != "bfloat16":
        writer.add_tensor(name, np.ascontiguousarray(tensor))
        return
    # The package knows no bfloat16 of NumPy's: it takes the bytes and is told what they are.
    raw = np.ascontiguousarray(tensor).view(np.uint8)
    writer.add_tensor(name, raw, raw_dtype=library.GGMLQuantizationType.BF16)
