"""Target modules of transformers and tensors of llama.cpp: which is which, both ways."""

from __future__ import annotations

import re
from typing import NamedTuple

from superpose.formats.gguf.architectures import Architecture
from superpose.names.identity import parse

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
_SIGN = re.compile(r"(?<=\.)[NX](?=\.|$)")


class TensorHalf(NamedTuple):
    """A tensor of llama.cpp's without its `.weight`. expert: of the stack that it is, or None.

    half: 0 or 1 where the module's rows make two tensors, one half each; None otherwise.
    """

    name: str
    expert: int | None = None
    half: int | None = None


def llama_cpp_tensors(architecture: Architecture, module: str) -> list[TensorHalf]:
    """Give the tensors that a target module is in llama.cpp, none when it is unknown there.

    module: the linear layer, or the stack of experts with its parameter (`...experts.down_proj`).
    """
    plain = module.replace("language_model.", "", 1) if architecture.wrapped else module
    numbers = _NUMBER.findall(plain)
    if len(numbers) > 2:
        return []
    template = plain
    for sign in "NX"[: len(numbers)]:
        template = _NUMBER.sub(sign, template, count=1)
    found = architecture.names.get(template) or _respelled(architecture, template)
    if found is None:
        return []
    expert = int(numbers[1]) if len(numbers) > 1 else None
    first, _, second = found.replace("N", numbers[0] if numbers else "N").partition("+")
    if not second:
        return [TensorHalf(first, expert)]
    return [TensorHalf(first, half=0), TensorHalf(f"{first.rpartition('.')[0]}.{second}", half=1)]


def _respelled(architecture: Architecture, template: str) -> str | None:
    """Find a module that an adapter calls otherwise than the architecture's own models do."""
    wanted = _identity(template)
    return next((x for m, x in architecture.names.items() if _identity(m) == wanted), None)


def _identity(template: str) -> str:
    return parse(_SIGN.sub("0", template) + ".weight").identity


def module_of(architecture: Architecture, tensor: str) -> tuple[str | None, int | None]:
    """Give the target module that a tensor is the weight of, and which half of its rows.

    tensor: without its `.weight`. Of a stack of experts the module is the stack's parameter
    (`...experts.gate_up_proj`). (None, None) when there is none.
    """
    number = _NUMBER.search(tensor)
    template = _NUMBER.sub("N", tensor, count=1)
    for module, names in architecture.names.items():
        if "X" in module:
            continue
        first, _, second = names.partition("+")
        both = [first, f"{first.rpartition('.')[0]}.{second}"] if second else [first]
        if template in both:
            plain = module.replace("N", number[0]) if number else module
            half = both.index(template) if second else None
            return (_wrapped(plain) if architecture.wrapped else plain), half
    return None, None


def interleaved_as(architecture: Architecture, tensor: str) -> str | None:
    """Say whose rows are interleaved in a tensor: "q" or "k"; None for neither."""
    last = tensor.rpartition(".")[2]
    return {"attn_q": "q", "attn_k": "k"}.get(last) if architecture.permuted else None


def _wrapped(module: str) -> str:
    top, dot, rest = module.partition(".")
    return f"{top}.language_model.{rest}" if dot else module
