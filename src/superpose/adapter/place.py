"""Where in the base model a delta lies, and how the base lays its tensor out.

A delta is a matrix (out_features, in_features), whatever it changes. Most change the weight of a
linear layer and need no place: their key in the adapter is the layer's name. The others say which
tensor of the base they change and which part of it: so a sum, a norm or an SVD treats an expert, a
group of a convolution, an embedding or a bias like any other delta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["linear", "embedding", "convolution", "experts", "bias"]
"""How the base's tensor is made of deltas (out, in).

linear: (out, in), or its transpose in a Conv1D. embedding: (in, out), the transpose. convolution:
(out, in, *kernel), flattened. experts: a stack of matrices, one delta each. bias: (out,), the
delta's only column.
"""


@dataclass(frozen=True)
class Place:
    """One delta's part of one tensor of the base model.

    module: the base's module, as `get_submodule` takes it. parameter: its tensor. kernel: of a
    convolution, its spatial size. block, blocks: which of the tensor's parts this is: a group of a
    convolution, an expert. pooled: the inputs that share a column of A (QA-LoRA), 1 for none: the
    true delta has `pooled` times the columns, where its layer is quantised. wrapped: PEFT's file
    says `<parent>.base_layer.<name>` for this module (inside nn.MultiheadAttention). shape: of a
    bias that is no vector in the base, () for one that is.
    """

    module: str
    parameter: str = "weight"
    kind: Kind = "linear"
    kernel: tuple[int, ...] = ()
    block: int = 0
    blocks: int = 1
    pooled: int = 1
    wrapped: bool = False
    shape: tuple[int, ...] = ()

    @property
    def tensor(self) -> str:
        """Name of the base's tensor: module and parameter."""
        return f"{self.module}.{self.parameter}"

    @property
    def key(self) -> str:
        """Name of the delta in an adapter: the module's alone where that says it all."""
        name = self.module if self.parameter == "weight" else self.tensor
        return f"{name}[{self.block}]" if self.blocks > 1 else name

    @property
    def sharing(self) -> int:
        """How many deltas share the rank of one pair of factors on disk.

        The groups of a convolution; 1 for most, each expert too; 0 for a bias, which has no rank.
        """
        return {"convolution": self.blocks, "bias": 0}.get(self.kind, 1)


def place_of(key: str, place: Place | None) -> Place:
    """Give a delta's place; without one it is the weight of the linear layer called `key`."""
    return Place(key) if place is None else place


def place_of_json(told: Mapping[str, Any] | None) -> Place | None:
    """Read a place as JSON holds it: its fields by name, those that are as usual may be missing."""
    if told is None:
        return None
    lists = {name: tuple(told[name]) for name in ("kernel", "shape") if name in told}
    return Place(**{**told, **lists})


def sharing(place: Place | None) -> int:
    """Give how many deltas share a module's rank; 0 for a bias, which has none."""
    return 1 if place is None else place.sharing
