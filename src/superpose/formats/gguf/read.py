"""A GGUF LoRA file to an adapter.

Tensors `<tensor>.weight.lora_a` (rank, in) and `.lora_b` (out, rank), of which llama.cpp adds
scale * lora_b @ lora_a, scale = alpha / rank, or 1 where `adapter.lora.alpha` is 0 or missing. Of
`token_embd`, lora_a is stored transposed; of a stack of experts, both have the expert first.
Source: llama.cpp, src/llama-adapter.cpp, llama-adapter.h and llama-graph.cpp.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Delta, Place, place_of
from superpose.errors import BadInput, MissingBase, Refused, SuperposeWarning, placed
from superpose.files import short_name
from superpose.files.file_format import GGUF, LLAMA_CPP
from superpose.files.finite import all_finite
from superpose.files.tensors import numpy_dtype, opened, read_bytes
from superpose.formats.gguf.architectures import of_gguf
from superpose.formats.gguf.base import NOTED, Base, base_numbers, read_base
from superpose.formats.gguf.header import (
    BLOCKS,
    Q8_0,
    GgufHeader,
    GgufTensor,
    read_gguf_header,
)
from superpose.formats.gguf.names import interleaved_as, module_of
from superpose.formats.gguf.translate import ARCHITECTURE, to_transformers
from superpose.formats.gguf.values import PLAIN
from superpose.formats.noted import noted
from superpose.formats.stubs import check_stubs

Array = NDArray[Any]

ALPHA = "adapter.lora.alpha"

_HUB = "https://huggingface.co/"


class FactorNames(NamedTuple):
    """The names of the factors of one tensor."""

    A: str
    B: str


def read_gguf(
    path: Path, *, given: str | None = None, base: str | os.PathLike[str] | None = None
) -> Adapter:
    """Read the adapter in a local GGUF file.

    given: what the user called it. base: the base model (see `read_base`), which an adapter whose
    q and k are reordered needs before it is an adapter of transformers' modules; where neither it
    nor the file tells the heads, the adapter stays under llama.cpp's names: it can be added to
    others of its kind and written as GGUF again.

    Raises BadInput when the file is damaged or no adapter, Refused for what a sum cannot hold,
    DifferentBase when `base` is of another architecture, and as `read_base`.
    """
    where = given or str(path)
    header = read_gguf_header(path)
    with placed(path):
        _check_kind(header)
        check_stubs({name: tensor.shape for name, tensor in header.tensors.items()})
        alpha = _alpha(header)
        pairs = _pairs(header, where)
        _check_layout(header)
    adapter = Adapter(
        dict(_deltas(path, header, pairs, alpha)),
        name=short_name(where).removesuffix(GGUF.ending),
        base_model=_base_model(header),
        path=where,
        **noted(header.metadata),
        format=LLAMA_CPP.name,
        metadata=_kept(header),
    )
    numbers = read_base(base) if base is not None else _base(adapter)
    return adapter if numbers is None else to_transformers(adapter, numbers)


def _check_kind(header: GgufHeader) -> None:
    kind, method = _text(header, "general.type"), _text(header, "adapter.type")
    if kind in (None, "model") and method is None:
        raise BadInput("is a model, not an adapter")
    if kind != "adapter" or method != "lora":
        what = f"general.type {kind!r}, adapter.type {method!r}"
        raise Refused(f"is no LoRA adapter of llama.cpp's ({what})")
    if "adapter.alora.invocation_tokens" in header.metadata:
        raise Refused("is an aLoRA adapter: it acts only after certain tokens, a sum acts on all")
    if not _text(header, ARCHITECTURE):
        raise BadInput(f"names no {ARCHITECTURE}")


def _alpha(header: GgufHeader) -> float:
    alpha = header.metadata.get(ALPHA, 0.0)
    if type(alpha) is not float or not math.isfinite(alpha):
        raise BadInput(f"{ALPHA} is {str(alpha)[:40]}; it must be a finite float")
    return alpha


def _pairs(header: GgufHeader, where: str) -> dict[str, FactorNames]:
    """Give the factors by tensor, without its `.weight`; raises BadInput, Refused."""
    sides: dict[str, dict[str, str]] = {}
    norms: list[str] = []
    others: list[str] = []
    for name in header.tensors:
        stem, dot, side = name.rpartition(".lora_")
        if dot and side in ("a", "b"):
            sides.setdefault(stem, {})[side] = name
        else:
            (norms if name.endswith("_norm.weight") else others).append(name)
    if others:
        raise Refused(f"holds `{others[0]}`, which is no factor; llama.cpp would not load it")
    if norms:
        warnings.warn(
            f"{where}: `{norms[0]}` and all norms beside the factors are passed over, as llama.cpp "
            f"itself does ({len(norms)} in all)",
            SuperposeWarning,
            stacklevel=4,
        )
    if not sides:
        raise BadInput("holds no LoRA factors")
    for stem, found in sides.items():
        if len(found) < 2:
            raise BadInput(f"tensor `{next(iter(found.values()))}` has no partner")
        _check_pair(stem, found["a"], found["b"], header)
    return {
        stem.removesuffix(".weight"): FactorNames(found["a"], found["b"])
        for stem, found in sides.items()
    }


def _check_pair(stem: str, a: str, b: str, header: GgufHeader) -> None:
    A, B = header.tensors[a].shape, header.tensors[b].shape
    if not stem.endswith(".weight"):
        raise Refused(f"holds factors of `{stem}`, which is no weight")
    rank = A[-1] if stem == "token_embd.weight" else A[-2] if len(A) > 1 else 0
    if len(A) not in (2, 3) or len(A) != len(B) or rank != B[-1] or A[:-2] != B[:-2]:
        raise BadInput(f"tensors `{a}` {A} and `{b}` {B} are not the factors of a delta")
    if stem == "token_embd.weight" and len(A) > 2:
        raise BadInput(f"tensor `{a}` has shape {A}; an embedding is a matrix")


def _check_layout(header: GgufHeader) -> None:
    """Let tensors pass that lie one behind the other within the file, as llama.cpp wants them."""
    at = 0
    for name, tensor in header.tensors.items():
        if tensor.type not in BLOCKS:
            raise Refused(
                f"tensor `{name}` is of ggml's type {tensor.type}; superpose reads F32, F16, BF16, "
                "F64 and Q8_0",
                hint="Convert the adapter again with --outtype f32.",
            )
        if tensor.offset != at:
            raise BadInput(f"tensor `{name}` does not start where the one before it ends")
        size = _bytes(name, tensor)
        if header.data + at + size > header.size:
            raise BadInput(f"truncated: tensor `{name}` goes on behind its {header.size:,} bytes")
        at += -(-size // header.alignment) * header.alignment


def _bytes(name: str, tensor: GgufTensor) -> int:
    values, size = BLOCKS[tensor.type]
    if tensor.shape[-1] % values:
        raise BadInput(f"tensor `{name}` has rows of {tensor.shape[-1]}, no multiple of {values}")
    return math.prod(tensor.shape) // values * size


def _deltas(
    path: Path, header: GgufHeader, pairs: Mapping[str, FactorNames], alpha: float
) -> Iterator[tuple[str, Delta]]:
    with placed(path), opened(path) as file:
        for name, pair in pairs.items():
            A, B = (_read(file, header, factor) for factor in pair)
            scaling = alpha / B.shape[-1] if alpha else 1.0
            if name == "token_embd":
                yield name, Delta.of(B, A.T, scaling, Place(name, kind="embedding"))
            elif A.ndim == 2:
                yield name, Delta.of(B, A, scaling)
            else:
                for block in range(A.shape[0]):
                    place = Place(name, kind="experts", block=block, blocks=A.shape[0])
                    yield place.key, Delta.of(B[block], A[block], scaling, place)


def _read(file: Any, header: GgufHeader, name: str) -> Array:
    tensor = header.tensors[name]
    file.seek(header.data + tensor.offset)
    data = read_bytes(file, _bytes(name, tensor))
    values = _q8(data) if tensor.type == Q8_0 else data.view(numpy_dtype(PLAIN[tensor.type]))
    values = values.reshape(tensor.shape)
    values.flags.writeable = False
    if not all_finite(values):
        raise BadInput(
            f"tensor `{name}` holds NaN or infinity",
            hint="Training most likely diverged or overflowed; take an earlier checkpoint.",
        )
    return values


def _q8(data: Array) -> Array:
    """Give the values of Q8_0 blocks, float32: a half as scale, then 32 signed bytes."""
    blocks = data.view(np.dtype([("scale", "<f2"), ("values", "i1", (32,))]))
    return blocks["scale"].astype(np.float32)[:, None] * blocks["values"].astype(np.float32)


def _base(adapter: Adapter) -> Base | None:
    """Give the numbers that make it an adapter of transformers' modules; None to leave it."""
    own = adapter.metadata[ARCHITECTURE]
    try:
        base = base_numbers(adapter, None)
    except (MissingBase, BadInput):
        return _usual(adapter, own)  # what is not needed is not asked for
    return base if base.architecture.gguf == own else _usual(adapter, own)


def _usual(adapter: Adapter, name: str) -> Base | None:
    """Give a base without numbers, where all that llama.cpp calls `name` agree on the modules."""
    tensors = [place_of(key, delta.place).module for key, delta in adapter.items()]
    found: dict[tuple[str | None, ...], Base] = {}
    for architecture in of_gguf(name):
        modules = tuple(module_of(architecture, tensor)[0] for tensor in tensors)
        if None not in modules:
            found.setdefault(modules, Base(architecture))
    if len(found) != 1:
        return None
    (base,) = found.values()
    known = not any(interleaved_as(base.architecture, tensor) for tensor in tensors)
    return base if known else None


def _kept(header: GgufHeader) -> dict[str, str]:
    """Give the metadata that a sum is to carry on."""
    keys = (ARCHITECTURE, NOTED)
    return {key: text for key in keys if (text := _text(header, key)) is not None}


def _base_model(header: GgufHeader) -> str | None:
    """Give the base model's name as the file tells it: as a hub name where there is one."""
    own = _text(header, "superpose.base_model")
    if own is not None:
        return own
    address = _text(header, "general.base_model.0.repo_url") or ""
    if address.startswith(_HUB):
        return address.removeprefix(_HUB) or None
    return _text(header, "general.base_model.0.name")


def _text(header: GgufHeader, key: str) -> str | None:
    value = header.metadata.get(key)
    return value if isinstance(value, str) else None
