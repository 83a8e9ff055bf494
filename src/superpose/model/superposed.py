"""The superposed model: one loaded base, K adapters beside it, task weights per call.

    y = W0 x + B (repeat(lambda s, r) * (A x))

Nothing is merged and nothing is copied: the factors of all adapters are stacked per target
module, and a forward hook adds their part to the module's output. Changing the task weights
costs nothing but choosing rows of the stack. (DESIGN, formula 9.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from superpose.adapter import Adapter, Delta, met
from superpose.errors import BadInput, DifferentBase, Refused, listed
from superpose.lowrank import Term, stack
from superpose.names.tree import Tree, tree_of_model

__all__ = ["SuperposedModel", "tree_of_loaded"]

Weights = Sequence[float] | torch.Tensor
"""K task weights; (rows, K) of them for a batch, one weighting a row; or (rows, M, K), one for each
row and target module. One row stands for all."""


class SuperposedModel:
    """A base model whose target modules add a weighted sum of K adapters.

    model: any transformers causal language model whose target modules are Linear or Conv1D;
    it is changed by hooks alone, which `remove` (or leaving a `with` block) takes out again.
    adapters: K adapters of that model.

    Raises DifferentBase where a target module is missing in the model or its shape differs,
    BadInput where it is of another kind, and Refused where an adapter holds more than that.
    """

    def __init__(self, model: nn.Module, adapters: Sequence[Adapter]) -> None:
        for adapter in adapters:
            _check_linear(adapter)
        self.model = model
        self.adapters = met(adapters, tree_of_loaded(model))
        names = dict.fromkeys(name for adapter in self.adapters for name in adapter)
        self._stacks = {name: _Stack.of(model, name, self.adapters) for name in names}
        self._hooks = [
            model.get_submodule(name).register_forward_hook(part.add)
            for name, part in self._stacks.items()
        ]

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the M target modules that at least one adapter has, in order of appearance."""
        return tuple(self._stacks)

    @contextmanager
    def at(self, weights: Weights) -> Iterator[nn.Module]:
        """The model at these task weights, inside the block; the base again after it.

        weights: K numbers, or a tensor (K,), (rows, K) or (rows, M, K), modules as in `modules`;
        gradients flow into a tensor that requires them.
        """
        weights = self._checked(weights)
        for position, part in enumerate(self._stacks.values()):
            part.choose(weights[:, position] if weights.ndim == 3 else weights)
        try:
            yield self.model
        finally:
            for part in self._stacks.values():
                part.rest()

    def remove(self) -> None:
        """Take the hooks out; the model is the bare base from now on."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _checked(self, weights: Weights) -> torch.Tensor:
        if not isinstance(weights, torch.Tensor):
            weights = torch.tensor([float(weight) for weight in weights])
        shape, count = tuple(weights.shape), len(self.adapters)
        if len(shape) not in (1, 2, 3) or shape[-1] != count:
            raise BadInput(f"{count} adapters take as many task weights, not a tensor {shape}")
        if len(shape) == 3 and shape[1] != len(self._stacks):
            raise BadInput(f"{len(self._stacks)} target modules, but a tensor {shape} of weights")
        return weights


def tree_of_loaded(model: nn.Module) -> Tree:
    """The model's own names: an adapter's files may call its modules otherwise."""
    shapes = {name: tuple(x.shape) for name, x in model.named_parameters()}
    config = getattr(model, "config", None)
    return tree_of_model(shapes, {} if config is None else config.to_dict())


def _stacked(adapter: Adapter, name: str) -> Term:
    """Give a delta's factors side by side; raises BadInput for what float32 does not hold."""
    with np.errstate(over="ignore"):
        term = stack(adapter[name].terms)
    if max(np.abs(term.A).max(), np.abs(term.B).max()) > np.finfo(np.float32).max:
        raise BadInput(
            f"`{name}` holds values too large for float32, in which models compute",
            where=adapter.label,
            hint="An adapter that large breaks the model: train with a lower learning rate.",
        )
    return term


@dataclass(eq=False)
class _Stack:
    """One target module's factors: A (R, in), B (out, R), and the adapter of each of R rows."""

    A: torch.Tensor
    B: torch.Tensor
    owner: torch.Tensor
    active: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None] | None = None

    @classmethod
    def of(cls, model: nn.Module, name: str, adapters: Sequence[Adapter]) -> _Stack:
        weight = _weight(model, name, adapters)
        terms = [
            (k, _stacked(adapter, name)) for k, adapter in enumerate(adapters) if name in adapter
        ]
        # As PEFT does, factors stay in float32 beside a base in half precision.
        dtype = torch.promote_types(weight.dtype, torch.float32)
        A = np.concatenate([np.asarray(term.A) for _, term in terms])
        B = np.concatenate([np.asarray(term.coefficient * term.B) for _, term in terms], axis=1)
        owner = np.concatenate([np.full(term.A.shape[0], k) for k, term in terms])
        return cls(
            torch.from_numpy(A).to(weight.device, dtype),
            torch.from_numpy(B).to(weight.device, dtype),
            torch.from_numpy(owner).to(weight.device),
        )

    def choose(self, weights: torch.Tensor) -> None:
        """Take up the rows of the adapters whose weight is not zero, and scale them."""
        scale = weights.to(self.A)[..., self.owner]
        if scale.requires_grad or scale.ndim == 2:
            self.active = (self.A, self.B, scale)
            return
        rows = scale.nonzero()[:, 0]
        # Fixed weights go into B once instead of into every forward pass.
        self.active = (self.A[rows], self.B[:, rows] * scale[rows], None) if len(rows) else None

    def rest(self) -> None:
        self.active = None

    def add(self, _: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> Any:
        """The forward hook: output (..., out) plus the adapters' part for input (..., in)."""
        if self.active is None:
            return output
        A, B, scale = self.active
        low = nn.functional.linear(args[0].to(A.dtype), A)
        if scale is not None:
            low = low * _along_rows(scale, low) if scale.ndim == 2 else low * scale
        if torch.is_grad_enabled() or output.dtype != B.dtype:
            return output + nn.functional.linear(low, B).to(output.dtype)
        # The module's output is fresh: adding in place saves a pass over it.
        flat = output.view(-1, output.shape[-1])
        flat.addmm_(low.view(-1, low.shape[-1]), B.T)
        return output


def _along_rows(scale: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """One weighting a batch row, (rows, R), along the first axis of `low` (rows, ..., R)."""
    if low.ndim == 2:
        # Some models (OPT) join rows and tokens before a module: (rows * tokens, R).
        return scale.repeat_interleave(low.shape[0] // scale.shape[0], dim=0)
    return scale.reshape(scale.shape[0], *(1,) * (low.ndim - 2), -1)


def _check_linear(adapter: Adapter) -> None:
    """Refuse, by name, what is more than deltas of linear layers."""
    others = [*adapter.replacements, *(k for k, d in adapter.items() if d.place is not None)]
    if others:
        raise Refused(
            f"changes {listed(others)}, and a base model is superposed with deltas of linear "
            "layers alone",
            where=adapter.label,
            hint="superpose bake BASE ADAPTER writes the exact model, which evaluates as a base.",
        )


def _weight(model: nn.Module, name: str, adapters: Sequence[Adapter]) -> torch.Tensor:
    """The base's weight of a target module, checked against every adapter's delta."""
    try:
        module = model.get_submodule(name)
    except AttributeError:
        raise DifferentBase(
            f"the base model has no module `{name}`",
            where=next(adapter.label for adapter in adapters if name in adapter),
            hint="Was the adapter trained on another base model?",
        ) from None
    kind, weight = type(module).__name__, module.weight
    linear = isinstance(module, nn.Linear)
    if not (linear or kind == "Conv1D") or not isinstance(weight, torch.Tensor):
        raise BadInput(
            f"module `{name}` is a {kind}; Linear and Conv1D can carry a delta here", where=name
        )
    shape = tuple(weight.shape) if linear else tuple(weight.shape)[::-1]
    for adapter in adapters:
        delta: Delta | None = adapter.deltas.get(name)
        if delta is not None and delta.shape != shape:
            raise DifferentBase(
                f"module `{name}` is {shape} in the base model and {delta.shape} in the adapter",
                where=adapter.label,
                hint="Was the adapter trained on another base model?",
            )
    return weight
