"""What becomes of each tensor of a GGUF model when an adapter is added to its weights.

Embedding and output are one tensor in a model without `output.weight`. An adapter that changes one
of them parts them: the model then gets an `output.weight` of its own, which llama.cpp takes.
Source: llama.cpp, src/llama-model.cpp: output is optional there, token_embd stands in for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from superpose.adapter import Adapter, Delta, place_of, untied
from superpose.errors import BadInput, DifferentBase, Refused, placed
from superpose.formats.gguf.base import Base
from superpose.formats.gguf.header import GgufHeader
from superpose.formats.gguf.translate import to_llama_cpp
from superpose.formats.gguf.values import TYPE_OF, GgufType, check_writable_type, type_of

EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"


class Addend(NamedTuple):
    """A delta that is added to a band of a tensor's rows. at: the first row.

    transposed: the tensor holds its transpose.
    """

    delta: Delta
    at: int
    transposed: bool


class NewGgufTensor(NamedTuple):
    """A tensor of the new model. source: of the base. stored: the source's type; type: its own.

    shape: as NumPy's. addends: nothing where it is the base's own.
    """

    name: str
    source: str
    shape: tuple[int, ...]
    stored: GgufType
    type: GgufType
    addends: tuple[Addend, ...]

    @property
    def rows(self) -> int:
        """Of the matrix that it is: experts one below another, a vector one row."""
        return math.prod(self.shape[:-1])

    @property
    def columns(self) -> int:
        """Of the matrix that it is."""
        return self.shape[-1]


class ModelPlan(NamedTuple):
    """changed: what is written anew, by name. untied: output is a tensor of its own now."""

    changed: Mapping[str, NewGgufTensor]
    untied: bool


def plan_model(
    header: GgufHeader, adapter: Adapter, base: Base, dtype: str | None, path: Path
) -> ModelPlan:
    """Say which tensors change and how. dtype: that they are written in; None is each one's own.

    Raises Refused, with every reason, for what is no change of a model's weights; BadInput for a
    tensor that the model does not have, DifferentBase for one of another shape.
    """
    tied = OUTPUT not in header.tensors
    named = _named(adapter if tied else untied(adapter), base)
    addends: dict[str, list[Addend]] = {}
    for key, delta in named.items():
        place = place_of(key, delta.place)
        with placed(path):
            addend = _addend(header, key, delta)
        addends.setdefault(place.tensor, []).append(addend)
    ends = {name for name in (EMBEDDING, OUTPUT) if name in addends}
    alike = bool(adapter.tied) and ends == {EMBEDDING}  # both ends, by the adapter's own word
    parts = tied and bool(ends) and not alike
    if parts:
        _check_parts(base, path)
        addends.setdefault(OUTPUT, [])
    changed = {name: _new_tensor(header, name, each, dtype, path) for name, each in addends.items()}
    return ModelPlan(changed, parts)


def _named(adapter: Adapter, base: Base) -> Adapter:
    """Give the adapter under llama.cpp's names; Refused says what there is to do instead."""
    try:
        return to_llama_cpp(adapter, base, model=True)
    except Refused as error:
        error.hint = error.hint or (
            "A transformers model holds it: superpose bake BASE ADAPTER -o FOLDER; of that "
            "llama.cpp's convert_hf_to_gguf.py makes a GGUF model."
        )
        raise


def _addend(header: GgufHeader, key: str, delta: Delta) -> Addend:
    """Place a delta in the tensor that it changes. Raises BadInput, DifferentBase."""
    place = place_of(key, delta.place)
    source = EMBEDDING if place.tensor == OUTPUT and OUTPUT not in header.tensors else place.tensor
    found = header.tensors.get(source)
    if found is None:
        raise BadInput(
            f"has no tensor `{source}`, which the adapter changes",
            hint="Was the adapter trained on another base model?",
        )
    transposed = place.kind in ("embedding", "bias")
    own: tuple[int, ...] = delta.shape[::-1] if transposed else delta.shape
    shape = found.shape if place.kind != "bias" else (1, *found.shape)
    if place.kind == "experts":
        own = (place.blocks, *own)
    if own != shape:
        raise DifferentBase(
            f"tensor `{source}` has shape {found.shape}, and the adapter's change of it "
            f"{own if place.kind != 'bias' else own[1:]}",
            hint="Was the adapter trained on another base model, or on one whose vocabulary was "
            "resized?",
        )
    at = place.block * delta.shape[0] if place.kind == "experts" else 0
    return Addend(delta, at, transposed)


def _check_parts(base: Base, path: Path) -> None:
    """Let a model pass whose architecture may have an output layer of its own in llama.cpp."""
    if "lm_head" not in base.architecture.names:
        raise Refused(
            "its output and embedding are one tensor, the adapter changes one of them, and "
            f"llama.cpp knows no output layer of {base.architecture.gguf}'s own",
            where=path,
            hint="A transformers model can have one: superpose bake BASE ADAPTER -o FOLDER.",
        )


def _new_tensor(
    header: GgufHeader, name: str, addends: list[Addend], dtype: str | None, path: Path
) -> NewGgufTensor:
    source = EMBEDDING if name == OUTPUT and name not in header.tensors else name
    found = header.tensors[source]
    with placed(path, f"tensor `{source}`"):
        stored = type_of(found.type)
        kind = stored if dtype is None or not addends else type_of(TYPE_OF[dtype])
        if addends:
            check_writable_type(kind)
        kind.row_bytes(found.shape[-1])
    return NewGgufTensor(name, source, found.shape, stored, kind, tuple(addends))
