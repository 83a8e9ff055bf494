"""An adapter under transformers' names and in its order of rows, or under llama.cpp's and in its.

An adapter of the format `LLAMA_CPP` goes by tensor names (`blk.0.attn_q`), its rows as llama.cpp
wants them. Two of them can be added without the base model; which target modules they are, it
takes the base's numbers to say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from superpose.adapter import Adapter, Delta, Place, is_head, place_of
from superpose.errors import BadInput, DifferentBase, MissingBase, Refused, bullets
from superpose.files.file_format import GGUF, LLAMA_CPP
from superpose.formats.gguf.base import HINT, NOTED, Base, read_base
from superpose.formats.gguf.names import TensorHalf, interleaved_as, llama_cpp_tensors, module_of
from superpose.formats.gguf.rows import halved, interleaved
from superpose.lowrank.terms import Term, formed, namespace_of

ARCHITECTURE = "general.architecture"

_OUTPUT = TensorHalf("output")
_NOT_HELD = {
    "bias": "a change of a bias; a GGUF adapter holds factors of matrices alone",
    "convolution": "a convolution; llama.cpp adds no LoRA to one",
}


def to_llama_cpp(adapter: Adapter, base: Base, *, model: bool = False) -> Adapter:
    """Give the adapter under llama.cpp's names, its rows in llama.cpp's order.

    model: for the weights of a model, which hold what an adapter cannot: changes of biases, and of
    one end of tied weights.

    Raises Refused with every reason at once for what a GGUF adapter cannot hold, MissingBase when
    the base's numbers of heads or experts are wanted and not known.
    """
    reasons = list(_refusals(adapter, base, model))
    deltas: dict[str, Delta] = {}
    for key, delta in adapter.items():
        place = place_of(key, delta.place)
        reason = _reason(place, base, model)
        tensors = [] if reason else llama_cpp_tensors(base.architecture, _stem(place))
        if reason or not tensors:
            unknown = f"llama.cpp has no such layer in {base.architecture.gguf}"
            reasons.append(f"`{key}`: {reason or unknown}")
            continue
        for tensor in tensors:
            part = _part(delta, tensor, place, base)
            assert part.place is not None
            name = part.place.key
            deltas[name] = deltas[name] + part if name in deltas else part
    if reasons:
        raise _refused(adapter, reasons)
    metadata = {**adapter.metadata, ARCHITECTURE: base.architecture.gguf, NOTED: base.to_json()}
    return replace(adapter, deltas=deltas, format=LLAMA_CPP.name, metadata=metadata)


def to_transformers(adapter: Adapter, base: Base) -> Adapter:
    """Give an adapter of the format `LLAMA_CPP` under the base's names, its rows in their order.

    Raises Refused, naming them, for tensors that are no module of the base; DifferentBase when it
    is of another architecture.
    """
    check_architecture(adapter, base)
    metadata = {**adapter.metadata, NOTED: base.to_json()}
    deltas: dict[str, Delta] = {}
    unknown = []
    for key, delta in adapter.items():
        changed = _in_transformers(delta, place_of(key, delta.place), base)
        if changed is None:
            unknown.append(f"`{key}`: {base.architecture.name} has no such layer")
            continue
        own, part = changed
        deltas[own] = deltas[own] + part if own in deltas else part
    if unknown:
        raise _refused(adapter, unknown)
    return replace(adapter, deltas=deltas, format=GGUF.name, metadata=metadata)


def given_base(adapter: Adapter, given: str | os.PathLike[str] | None) -> Base:
    """Give the base of an adapter of the format `LLAMA_CPP`; MissingBase where none is given."""
    if given is None:
        raise MissingBase(
            "goes by llama.cpp's names, its rows in an order that the base model's heads tell",
            where=adapter.path or adapter.name,
            hint=HINT,
        )
    return read_base(given)


def check_architecture(adapter: Adapter, base: Base | None) -> None:
    """Let an adapter of the format `LLAMA_CPP` pass that is one of the base's architecture.

    Raises DifferentBase; for a sum of adapters of several ones without a base too.
    """
    own = adapter.metadata.get(ARCHITECTURE)
    where = adapter.path or adapter.name
    if own is None:
        raise DifferentBase("its parts are adapters of different architectures", where=where)
    if base is not None and base.architecture.gguf != own:
        raise DifferentBase(
            f"is an adapter of llama.cpp's `{own}`, and the base model is a "
            f"`{base.architecture.gguf}`",
            where=where,
        )


def _in_transformers(delta: Delta, place: Place, base: Base) -> tuple[str, Delta] | None:
    """Give one tensor's delta under its own name in transformers; None when it has none."""
    module, half = module_of(base.architecture, place.module)
    if module is None:
        return None
    if place.kind == "experts":
        owner, _, parameter = module.rpartition(".")
        own = replace(place, module=owner, parameter=parameter)
        return own.key, replace(delta, terms=_whole(delta, half), place=own)
    if whose := interleaved_as(base.architecture, place.module):
        delta = halved(delta, _heads(base, whose), place.module)
    embedding = Place(module, kind="embedding") if place.kind == "embedding" else None
    return module, replace(delta, place=embedding)


def _part(delta: Delta, tensor: TensorHalf, place: Place, base: Base) -> Delta:
    """Give what a delta is of one tensor of llama.cpp's."""
    if tensor.half is not None:
        delta = replace(delta, terms=_half(delta, tensor.half))
    if whose := interleaved_as(base.architecture, tensor.name):
        delta = interleaved(delta, _heads(base, whose), place.module)
    own = Place(tensor.name, kind="embedding" if place.kind == "embedding" else "linear")
    if place.kind == "bias":
        own = Place(tensor.name, "bias", "bias")
    elif place.kind == "experts":
        own = Place(tensor.name, kind="experts", block=place.block, blocks=place.blocks)
    elif tensor.expert is not None:
        blocks = _experts(base, tensor.expert, place.module)
        own = Place(tensor.name, kind="experts", block=tensor.expert, blocks=blocks)
    return replace(delta, place=own)


def _stem(place: Place) -> str:
    return place.tensor if place.kind == "experts" else place.module


def _half(delta: Delta, half: int) -> tuple[Term, ...]:
    rows = delta.shape[0] // 2
    return tuple(t._replace(B=t.B[half * rows : (half + 1) * rows]) for t in formed(delta.terms))


def _whole(delta: Delta, half: int | None) -> tuple[Term, ...]:
    """Undo `_half`: zeros in the place of the other half."""
    if half is None:
        return formed(delta.terms)
    terms = []
    for term in formed(delta.terms):
        xp = namespace_of(term.B)
        both = [term.B, xp.zeros_like(term.B)]
        terms.append(term._replace(B=xp.concat(both if half == 0 else both[::-1], axis=0)))
    return tuple(terms)


def _heads(base: Base, whose: str) -> int:
    heads = base.heads if whose == "q" else base.kv_heads
    if heads is None:
        raise MissingBase(
            f"llama.cpp orders the rows of q and k by heads in {base.architecture.gguf}, and how "
            "many heads the base model has is not known",
            hint=HINT,
        )
    return heads


def _experts(base: Base, expert: int, module: str) -> int:
    if base.experts <= expert:
        raise BadInput(
            f"`{module}` is expert {expert}, and the base model has {base.experts}",
            hint="Was the adapter trained on another base model?",
        )
    return base.experts


def _refusals(adapter: Adapter, base: Base, model: bool) -> Iterator[str]:
    """Give every reason that lies in the adapter as a whole."""
    for key in adapter.replacements:
        out = "; it is a head, which --heads none leaves out" if is_head(key) else ""
        yield f"`{key}`: it is stored as it is, not as factors{out}"
    for output in () if model else adapter.tied:
        yield f"`{output}`: tied to the embedding, and llama.cpp has no adapter for both at once"
    if adapter.settings.get("layer_replication"):
        yield "layer_replication: the base model's own GGUF file has no such layers"


def _reason(place: Place, base: Base, model: bool) -> str | None:
    """Say why a GGUF file cannot hold a delta at this place; None when it can."""
    own = llama_cpp_tensors(base.architecture, place.module)
    ends = place.kind == "embedding" or own[:1] == [_OUTPUT]
    if model and place.kind == "bias":
        return None if place.parameter == "bias" else f"it changes `{place.parameter}`"
    if ends and base.tied and not model:
        return (
            "output and embedding are one tensor of this base, and llama.cpp adds no delta to one "
            "of them alone (with one for the embedding it aborts)"
        )
    if place.kind in _NOT_HELD:
        return _NOT_HELD[place.kind]
    if place.pooled > 1:
        return "its inputs are pooled (QA-LoRA)"
    if place.parameter != "weight" and place.kind != "experts":
        return f"it changes `{place.parameter}`, not the weight of a linear layer"
    return None


def _refused(adapter: Adapter, reasons: list[str]) -> Refused:
    return Refused(
        f"cannot be translated between transformers and llama.cpp:{bullets(reasons, 20)}",
        where=adapter.path or adapter.name,
    )
