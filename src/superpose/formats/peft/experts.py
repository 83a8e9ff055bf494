"""Stacks of experts in a PEFT file: which parameter of a module a pair of factors belongs to.

PEFT wraps a module once for each of its parameters that `target_parameters` names, in the order in
which the module registered them, and each wrapper holds the one before it: with two of them
`experts.base_layer.lora_A` belongs to the first and `experts.lora_A` to the second. Source: peft
0.21.2, `BaseTuner._inject_parameters`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput, Refused
from superpose.formats.peft.keys import FactorPair

Array = NDArray[Any]

REGISTERED = (
    "gate_up_proj", "gate_up_proj_bias", "gate_proj", "up_proj", "down_proj", "down_proj_bias",
)  # fmt: skip
"""Parameters of the modules of experts in transformers 5, in the order of their registration."""

_BAND = 1 << 16
"""Bytes of all experts that are put in order together."""

_NESTED = re.compile(r"(?P<module>.+?)(?P<wrappers>(\.base_layer)*)")


class Wrapped(NamedTuple):
    """A parameter of a module of the base."""

    module: str
    parameter: str


def wrapped_parameters(
    factors: Mapping[str, FactorPair], target_parameters: tuple[str, ...]
) -> dict[str, Wrapped]:
    """Give what a file's module names mean where `target_parameters` brought them about.

    Raises Refused when the order of a module's parameters is not known, BadInput when the file
    holds another number of them than the configuration names.
    """
    if not target_parameters:
        return {}
    levels: dict[str, dict[int, str]] = {}
    for name in factors:
        match = _NESTED.fullmatch(name)
        assert match is not None
        levels.setdefault(match["module"], {})[match["wrappers"].count("base_layer")] = name
    result = {}
    for module, by_depth in levels.items():
        names = _parameters_of(module, target_parameters)
        if not names:
            continue
        if sorted(by_depth) != list(range(len(names))):
            raise BadInput(
                f"`{module}` has factors for {len(by_depth)} parameters and target_parameters "
                f"names {len(names)} of them ({', '.join(names)})"
            )
        for outward, parameter in enumerate(registered(names, module)):
            result[by_depth[len(names) - 1 - outward]] = Wrapped(module, parameter)
    return result


def registered(parameters: Collection[str], module: str) -> list[str]:
    """Put a module's parameters in the order of their registration; Refused if it is not known."""
    unknown = [p for p in parameters if p not in REGISTERED]
    if unknown and len(parameters) > 1:
        raise Refused(
            f"target_parameters names several parameters of `{module}` and the order in which it "
            f"registers `{unknown[0]}` is not known, so nobody can tell their factors apart",
            where="target_parameters",
            hint="superpose knows transformers 5: gate_up_proj, up_proj, down_proj.",
        )
    return sorted(parameters, key=lambda p: REGISTERED.index(p) if p in REGISTERED else 0)


def by_expert(B: Array, experts: int) -> Array:
    """Give B of a stack, (out, rank * experts), expert by expert: (experts, out, rank).

    The file's columns are all experts of rank 0, then of rank 1, ...: a view of one expert would
    touch every cache line of the stack, each time that it is looked at.
    """
    found = np.empty((experts, B.shape[0], B.shape[1] // experts), B.dtype)
    mixed = B.reshape(B.shape[0], -1, experts)
    for rows in _bands(mixed):
        found[:, rows] = mixed[rows].transpose(2, 0, 1)
    return found


def by_rank(parts: Sequence[Array]) -> Array:
    """Give B of a stack as the file holds it; the inverse of `by_expert`. parts: (out, rank)."""
    mixed = np.empty((*parts[0].shape, len(parts)), parts[0].dtype)
    for rows in _bands(mixed):
        mixed[rows] = np.stack([part[rows] for part in parts]).transpose(1, 2, 0)
    return mixed.reshape(len(mixed), -1)


def _bands(mixed: Array) -> Iterator[slice]:
    """Cut rows so that a band of all experts stays in the cache: ten times quicker than at once."""
    step = max(1, _BAND // max(1, mixed[0].nbytes))
    return (slice(low, low + step) for low in range(0, len(mixed), step))


def file_module(module: str, parameter: str, written: Collection[str]) -> str:
    """Give the name in a file of one of the `written` parameters of a module."""
    order = registered(written, module)
    return module + ".base_layer" * (len(order) - 1 - order.index(parameter))


def _parameters_of(module: str, target_parameters: tuple[str, ...]) -> list[str]:
    """Give the parameters of a module that are named: each entry is the end of a full name."""
    names = []
    for entry in target_parameters:
        owner, _, parameter = entry.rpartition(".")
        # Without an owner the name of the parameter alone counts, and only experts have such names.
        named = module == owner or module.endswith(f".{owner}") if owner else "expert" in module
        if named:
            names.append(parameter)
    return list(dict.fromkeys(names))
