"""The base model inside a PeftModel, as a checkpoint: its own tensors, without PEFT's wrappers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from superpose.errors import Refused
from superpose.files.checkpoint import Checkpoint, Location
from superpose.files.header import TensorEntry
from superpose.names.identity import unwrapped
from superpose.names.stored import end_of
from superpose.names.tree import Tree, tree_of_model
from superpose.peft.tensors import as_array

Array = NDArray[Any]

__all__ = ["LoadedBase"]

_NAMES = {
    torch.float16: "F16", torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.bool: "BOOL",
    torch.uint8: "U8", torch.int8: "I8", torch.int16: "I16", torch.int32: "I32", torch.int64: "I64",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class LoadedBase(Checkpoint):
    """The tensors that the base model has in memory, read where a sum needs a share of them.

    tensors: by the name that the base itself gives them.
    """

    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any) -> Self:
        """Give the base of a PeftModel, whatever its adapters have put around its layers."""
        tensors = {name: x for name, x in _own(model.get_base_model(), "") if x.dtype in _NAMES}
        config: Any = getattr(model.get_base_model(), "config", None)
        plain = {} if not hasattr(config, "to_dict") else config.to_dict()
        locations = {name: Location("", 0, _entry(x)) for name, x in tensors.items()}
        return cls(Path("the loaded base model"), plain, (), locations, None, {}, tensors)

    @property
    def tied(self) -> bool:
        """Whether the output layer's weight is the embedding's very own."""
        ends: dict[str, set[int]] = {}
        for name, tensor in self.tensors.items():
            if (end := end_of(name)) is not None:
                ends.setdefault(end, set()).add(tensor.data_ptr())
        return bool(ends.get("input", set()) & ends.get("output", set()))

    @cached_property
    def tree(self) -> Tree:
        """The names of the base's own tensors."""
        return tree_of_model({n: tuple(x.shape) for n, x in self.tensors.items()}, self.config)

    @cached_property
    def wrapped(self) -> Mapping[str, str]:
        """What tensors in a wrapper, as torch.compile's, are called, by their names without it."""
        return {plain: n for n in self.tensors if (plain := unwrapped(n)) != n}

    def _bytes(
        self, name: str, location: Location, skip: int, count: int, into: Array | None = None
    ) -> Array:
        tensor = self.tensors[name]
        if _quantised(tensor):
            raise Refused(
                f"`{name}` is quantised in the loaded base model, and a share of its values is "
                "needed, which rounding has changed",
                where="model",
                hint="Load the base model unquantised, or add the adapters' files: superpose add "
                "A B --base BASE, and superpose bake for DoRA.",
            )
        width = tensor.element_size()
        part = tensor.detach().reshape(-1)[skip // width : (skip + count) // width]
        array = as_array(part, name)
        if into is None:
            return np.array(array)
        into[:] = array.view(np.uint8)
        return into.view(array.dtype)


def _own(module: Any, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Give a module's own tensors by name, past the layers that PEFT has put around it."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    if isinstance(module, BaseTunerLayer):
        yield from _own(module.get_base_layer(), prefix)
        return
    if isinstance(module, AuxiliaryTrainingWrapper):
        yield from _own(module.original_module, prefix)
        return
    for name, tensor in (*module._parameters.items(), *module._buffers.items()):
        if tensor is not None:
            yield f"{prefix}{name}", tensor
    for name, child in module._modules.items():
        if child is not None:
            yield from _own(child, f"{prefix}{name}.")


def _quantised(tensor: torch.Tensor) -> bool:
    """Whether a parameter's numbers stand for others: integers, or a subclass that unpacks them."""
    own = type(tensor) in (torch.Tensor, torch.nn.Parameter)
    whole = isinstance(tensor, torch.nn.Parameter) and not tensor.is_floating_point()
    return whole or not (own or not hasattr(tensor, "__tensor_flatten__"))


def _entry(tensor: torch.Tensor) -> TensorEntry:
    size = tensor.numel() * tensor.element_size()
    return TensorEntry(_NAMES[tensor.dtype], tuple(tensor.shape), 0, size)
