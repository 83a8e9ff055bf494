"""From folded factors to a PEFT file's tensors, and what the configuration has to say of them.

The inverse of `parts` and `whole`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import Adapter, Place, Replacement, enclosed, place_of, untied
from superpose.errors import BadInput, Refused
from superpose.files.finite import all_finite
from superpose.files.tensors import numpy_dtype
from superpose.formats.folded import Folded, wider_than
from superpose.formats.peft.experts import by_rank, file_module
from superpose.formats.peft.keys import PREFIX, factor_name

Array = NDArray[Any]

_BAKE = "superpose bake BASE ADAPTERS writes the exact model."


@dataclass
class Layout:
    """A file to be: tensors by name, and the fields of the configuration that they decide.

    ranks: of each module or expert parameter, by the name that PEFT's patterns see. wrapped: what
    the file calls the base's own module where PEFT has put LoRA around it. rows: numbers of the
    trained rows, by embedding. pooled: inputs that share a column of A.
    """

    tensors: dict[str, Array] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    wrapped: dict[str, str] = field(default_factory=dict)
    target_modules: list[str] = field(default_factory=list)
    target_parameters: list[str] = field(default_factory=list)
    whole_modules: list[str] = field(default_factory=list)
    rows: dict[str, list[int]] = field(default_factory=dict)
    bias: str = "none"
    lora_bias: bool = False
    pooled: int = 1


def check_for_peft(adapter: Adapter) -> None:
    """Raise Refused, naming the tensor, for what no PEFT LoRA folder can hold together."""
    places = {key: place_of(key, delta.place) for key, delta in adapter.items()}
    for replacement in adapter.replacements.values():
        if not replacement.absolute:
            raise Refused(
                f"`{replacement.key}` is DoRA's: rescaled base weights, no update of low rank",
                hint="superpose bake BASE ADAPTERS writes the exact model; superpose add --base "
                "BASE --rank K the best approximation of rank K.",
            )
        _check_row(replacement, adapter, places)
    for key, owner in enclosed(untied(adapter)).items():
        raise Refused(
            f"`{key}` has factors in one adapter and `{owner}` is stored whole in another; one "
            "PEFT adapter cannot hold both",
            hint="superpose add --base BASE works the factors into the stored tensors; " + _BAKE,
        )
    _check_factors(places, adapter)
    pooled = {place.pooled for place in places.values() if place.kind == "linear"}
    if len(pooled) > 1:
        raise Refused(
            "some modules are QA-LoRA with pooled inputs and others are not, or in other groups; "
            "one PEFT adapter has one group size",
            where="qalora_group_size",
            hint=_BAKE,
        )


def _check_factors(places: Mapping[str, Place], adapter: Adapter) -> None:
    """Biases stand beside factors alone, and of some kinds not even there."""
    kinds = {place.kind: key for key, place in places.items()}
    weights = {place.module for place in places.values() if place.kind != "bias"}
    if not weights:
        raise Refused(
            "nothing of the sum is a product of factors, and PEFT loads no such adapter",
            where=adapter.label,
            hint=_BAKE,
        )
    for key, place in places.items():
        if place.module not in weights:
            raise Refused(
                f"`{key}` has no factors beside it; PEFT takes a lora_bias only with them",
                hint=_BAKE,
            )
    for kind in ("embedding", "experts") if "bias" in kinds else ():
        if kind in kinds:
            raise Refused(
                f"`{kinds['bias']}` and `{kinds[kind]}` cannot be in one PEFT adapter: it "
                f"takes no lora_bias beside LoRA on {kind}",
                hint=_BAKE,
            )


def file_layout(adapter: Adapter, factors: Folded, dtype: str, *, exactly: bool = False) -> Layout:
    """Give the tensors and what the configuration says of them.

    exactly: stored tensors that the dtype does not hold are as precise as they came, float32 at
    least: what rounding costs them is large beside what training changed.

    Raises BadInput when a tensor needs the base model's own, or does not fit the dtype.
    """
    layout = Layout()
    by_tensor: dict[str, list[tuple[Place, Array, Array]]] = {}
    for key, (B, A) in factors.pairs.items():
        place = place_of(key, adapter[key].place)
        by_tensor.setdefault(place.tensor, []).append((place, B, A))
    written = [blocks[0][0] for blocks in by_tensor.values()]
    for blocks in by_tensor.values():
        _add_factors(layout, blocks, written)
    for output, embedding in adapter.tied.items():
        B, A = factors.pairs[embedding]
        layout.tensors[factor_name(output, "A")] = np.ascontiguousarray(B.T)
        layout.tensors[factor_name(output, "B")] = np.ascontiguousarray(A.T)
        layout.wrapped[output] = f"{output}.base_layer"
    _add_biases(layout, factors.biases, by_tensor, dtype)
    _add_replacements(layout, adapter, dtype, exactly)
    changed = {r.tensor for r in adapter.replacements.values() if r.row is None}
    for tensor, value in adapter.copies.items():
        if tensor not in changed:
            layout.tensors[_own_name(layout, tensor)] = np.ascontiguousarray(value)
    return layout


def _own_name(layout: Layout, tensor: str) -> str:
    """Give what the file calls one of the base's own tensors."""
    module, _, parameter = tensor.rpartition(".")
    return f"{PREFIX}{layout.wrapped.get(module, module)}.{parameter}"


def _add_factors(
    layout: Layout, blocks: list[tuple[Place, Array, Array]], written: list[Place]
) -> None:
    place = blocks[0][0]
    B, A = _joined(blocks)
    embedding = place.kind == "embedding"
    name, module = place.module, place.module
    if place.kind == "experts":
        parameters = [p.parameter for p in written if p.module == module and p.kind == "experts"]
        layout.wrapped[module] = module + ".base_layer" * len(parameters)
        name, module = place.tensor, file_module(module, place.parameter, parameters)
        layout.target_parameters.append(name)
    elif place.wrapped:
        parent, _, last = module.rpartition(".")
        module = f"{parent}.base_layer.{last}"
        layout.wrapped[place.module] = f"{module}.base_layer"
    else:
        layout.target_modules.append(module)
        layout.wrapped[module] = f"{module}.base_layer"
    layout.tensors[factor_name(module, "A", embedding=embedding)] = A
    layout.tensors[factor_name(module, "B", embedding=embedding)] = B
    if not place.wrapped:  # PEFT gives the two layers of nn.MultiheadAttention one rank
        layout.ranks[name] = A.shape[0] // (place.blocks if place.kind == "experts" else 1)
    layout.pooled = max(layout.pooled, place.pooled)


def _joined(blocks: list[tuple[Place, Array, Array]]) -> tuple[Array, Array]:
    """Put the blocks of one tensor together: B and A as the file holds them."""
    place, B, A = blocks[0]
    if place.blocks > 1:
        found = {p.block: (b, a) for p, b, a in blocks}
        nothing = np.zeros_like(B), np.zeros_like(A)
        parts = [found.get(block, nothing) for block in range(place.blocks)]
        A = np.concatenate([a for _, a in parts])
        columns = [b for b, _ in parts]
        B = by_rank(columns) if place.kind == "experts" else np.concatenate(columns)
    if place.kind == "convolution":
        A = A.reshape(A.shape[0], -1, *place.kernel)
        B = B.reshape(*B.shape, *(1 for _ in place.kernel))
    return B, A


def _add_biases(
    layout: Layout,
    biases: Mapping[str, Array],
    by_tensor: Mapping[str, list[tuple[Place, Array, Array]]],
    dtype: str,
) -> None:
    if not biases:
        return
    layout.lora_bias = True
    for tensor, blocks in by_tensor.items():
        # PEFT gives each of its layers a bias then, and misses none.
        module, rows = tensor.rpartition(".")[0], sum(B.shape[0] for _, B, _ in blocks)
        own = biases.get(f"{module}.bias") if blocks[0][0].parameter == "weight" else None
        bias = np.zeros(rows, numpy_dtype(dtype)) if own is None else np.ascontiguousarray(own)
        name = layout.wrapped[module].removesuffix(".base_layer")
        layout.tensors[f"{PREFIX}{name}.lora_B.bias"] = bias


def _add_replacements(layout: Layout, adapter: Adapter, dtype: str, exactly: bool) -> None:
    rows: dict[str, dict[int, Array]] = {}
    for replacement in adapter.replacements.values():
        value = _cast(replacement, dtype, exactly)
        module, _, parameter = replacement.tensor.rpartition(".")
        if replacement.row is not None:
            rows.setdefault(module, {})[replacement.row] = value
            continue
        if replacement.owner is not None:
            layout.whole_modules.append(replacement.owner)
        elif module in layout.wrapped and parameter == "bias":
            layout.bias = "lora_only" if layout.bias == "none" else layout.bias
        else:
            layout.bias = "all"
        layout.tensors[_own_name(layout, replacement.tensor)] = value
    layout.whole_modules = _outermost(layout.whole_modules)
    for module, by_number in rows.items():
        layout.rows[module] = sorted(by_number)
        layout.wrapped[module] = f"{module}.token_adapter.base_layer"
        stacked = np.stack([by_number[number] for number in layout.rows[module]])
        layout.tensors[f"{PREFIX}{module}.token_adapter.trainable_tokens_delta"] = stacked


def _outermost(modules: list[str]) -> list[str]:
    """Leave out the modules that lie in another of them: PEFT would save those twice."""
    names = dict.fromkeys(modules)
    return [m for m in names if not any(m.startswith(f"{other}.") for other in names)]


def _cast(replacement: Replacement, dtype: str, exactly: bool) -> Array:
    exact = replacement.value()
    with np.errstate(over="ignore"):
        # Not ascontiguousarray: it makes a list of a single number.
        value = np.asarray(exact, numpy_dtype(dtype), order="C")
        wide = np.dtype("float64" if "float64" in replacement.stored else "float32")
        if exactly and value.itemsize < wide.itemsize and not np.array_equal(value, exact):
            value = np.asarray(exact, wide, order="C")
    if not all_finite(value):
        raise BadInput(
            f"`{replacement.key}` holds values too large for {dtype}; nothing was written",
            hint=wider_than(dtype),
        )
    return value


def _check_row(replacement: Replacement, adapter: Adapter, places: Mapping[str, Place]) -> None:
    """A row cannot stand beside another change of its tensor: PEFT has one wrapper for each."""
    if replacement.row is None:
        return
    factors = {place.tensor for place in places.values()}
    stored = {r.tensor for r in adapter.replacements.values() if r.row is None}
    if replacement.tensor in factors | stored:
        into = "superpose add --base BASE works the rows into the stored tensor; "
        raise Refused(
            f"`{replacement.key}` is a trained row of a tensor that another adapter changes as a "
            "whole; one PEFT adapter cannot hold both",
            hint=("" if replacement.tensor in factors else into) + _BAKE,
        )
