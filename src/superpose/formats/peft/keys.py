"""What the tensors of a PEFT file are: factors of a target module, or something refused by name.

A factor is `base_model.model.<module>.lora_A.weight` or `.lora_B.weight`. Names are parsed from
their ends, because a module's own name may contain `lora_`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from superpose.errors import BadInput

PREFIX = "base_model.model."

Shape = tuple[int, ...]


class Pair(NamedTuple):
    """The factors of one target module by name, and their common rank."""

    A: str
    B: str
    rank: int


# Tried in this order; what each ending says about the tensor.
_REFUSED = (
    (r"\.lora_magnitude_vector(\.weight)?$", "a DoRA magnitude"),
    (r"\.lora_[AB]\.bias$", "a bias of a LoRA factor (lora_bias)"),
    (r"\.lora_embedding_[AB]$", "a factor of an embedding"),
    (r"\.lora_diag$", "a KaSA diagonal"),
    (r"\.lora_velora_", "a VeLoRA embedding"),
    (r"\.lora_monteclora_", "a MonteCLoRA sampler"),
    (r"\.trainable_tokens_", "trained token rows"),
    (r"\.base_layer(\..*)?\.lora_[AB]\.weight$", "a factor inside a wrapped layer "
     "(target_parameters or attention)"),
    (r"\.lora_[AB]\.[^.]+\.weight$", "a factor with an adapter's name in it, as state_dict() gives "
     "and save_pretrained() does not; PEFT would not load it"),
    (r"(^|\.)lora_(down|up)\b|^lora_(unet|te)", "a kohya or diffusers factor"),
    (r"\.base_layer\.", "a weight of the base model, which loading would overwrite"),
    (r"(^|\.)(original_module|modules_to_save)\.", "a whole module (modules_to_save)"),
    (r"\.bias$", "a bias"),
    (r"\.weight$", "a whole module (modules_to_save, or the head of a classifier)"),
)  # fmt: skip
_REFUSED_COMPILED = tuple((re.compile(pattern), what) for pattern, what in _REFUSED)
_FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


def sort_tensors(shapes: Mapping[str, Shape]) -> tuple[dict[str, Pair], list[str]]:
    """Give the factors by target module, and every reason why the others cannot be in a sum.

    shapes: of every tensor of the file, by name.

    Raises BadInput when there is nothing to refuse but a factor has no partner, is no matrix or
    does not fit its partner: then the file is damaged.
    """
    sides: dict[str, dict[str, str]] = {}
    others: dict[str, list[str]] = {}
    for name, shape in shapes.items():
        factor = _FACTOR.fullmatch(name.removeprefix(PREFIX))
        what = _refused(name, shape, factor)
        if factor is not None and what is None:
            sides.setdefault(factor["module"], {})[factor["side"]] = name
        else:
            others.setdefault(what or "", []).append(name)
    if others:
        return {}, [f"{_counted(names)}: {what}" for what, names in others.items()]
    return {module: _pair(names, shapes) for module, names in sides.items()}, []


def factor_name(module: str, side: str) -> str:
    """Give the name of a module's factor in a PEFT file; side: "A" or "B"."""
    return f"{PREFIX}{module}.lora_{side}.weight"


def _refused(name: str, shape: Shape, factor: re.Match[str] | None) -> str | None:
    """Say what a tensor is that is no factor of a linear layer; None for a factor."""
    if factor is None or re.search(r"\.base_layer(\.|$)", factor["module"]):
        for pattern, what in _REFUSED_COMPILED:
            if pattern.search(name):
                return what
        return "an unknown tensor"
    if not name.startswith(PREFIX):
        return f"a factor without the prefix `{PREFIX}`; PEFT would not load it"
    return "a factor of a convolution" if len(shape) > 2 else None


def _counted(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"tensor `{names[0]}`{more}"


def _pair(names: Mapping[str, str], shapes: Mapping[str, Shape]) -> Pair:
    if len(names) < 2:
        ((side, present),) = names.items()
        missing = present.replace(f".lora_{side}.", f".lora_{'B' if side == 'A' else 'A'}.")
        raise BadInput(f"tensor `{present}` has no partner: `{missing}` is missing")
    for name in names.values():
        if len(shapes[name]) != 2 or 0 in shapes[name]:
            raise BadInput(
                f"tensor `{name}` has shape {shapes[name]}; a factor is a matrix",
                hint="DeepSpeed ZeRO-3 and FSDP write such stubs when the shards were not gathered "
                "before saving.",
            )
    a, b = names["A"], names["B"]
    if shapes[a][0] != shapes[b][1]:
        raise BadInput(
            f"tensors `{a}` {shapes[a]} and `{b}` {shapes[b]} do not have one rank",
        )
    return Pair(a, b, shapes[a][0])
