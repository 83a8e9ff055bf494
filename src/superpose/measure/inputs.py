"""Measure the second moments of what goes into a model's modules: one forward pass, no label.

Narrow inputs are summed whole, x x^T by x x^T. Of wide ones a random sketch is kept in the same
pass: Y = sum x (x^T Omega) holds the strongest directions, and C ~ Y (Omega^T Y)^-1 Y^T (Nystrom:
Tropp, Yurtsever, Udell and Cevher, arXiv 1706.05736), so that memory grows with d and not with d².
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from superpose.adapter import Adapter, met
from superpose.data.input_statistics import InputStatistics
from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.lowrank.second_moment import SecondMoment
from superpose.measure.batches import BATCH_TOKENS, Batch, collate, evaluation_batches, unpadded
from superpose.model.superposed import tree_of_loaded

__all__ = ["WIDEST", "inputs_of_domains", "linear_layers", "measure_inputs"]

WIDEST = 1536
"""Inputs up to which the whole second moment is kept: 19 MB each."""

DIRECTIONS = 64
"""What a sketch of wider ones keeps."""

_OVERSAMPLED = 2
"""So many times more random directions than are kept."""


@torch.no_grad()
def measure_inputs(
    model: nn.Module,
    modules: Sequence[str],
    examples: Sequence[Example],
    *,
    base_model: str | None = None,
    directions: int = DIRECTIONS,
    widest: int = WIDEST,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
    all_of_them: bool = True,
    progress: Callable[[int], None] | None = None,
) -> InputStatistics:
    """Give the second moment of each module's inputs over all tokens of the examples.

    model: the base, or the base with an adapter on it. modules: names of linear layers. directions:
    kept of inputs wider than `widest`. seed: of the random directions there. all_of_them: False
    leaves out modules that text does not reach, as those of an image's encoder. progress: called
    with the rows done.

    Raises BadInput without examples, and for a module that no input reached.
    """
    if not examples:
        raise BadInput("there are no rows to take the inputs of")
    sums: dict[str, _Sum] = {}
    shared: dict[str, str] = {}
    generator = torch.Generator().manual_seed(seed)
    body = _reaching(model, modules)
    for batch in evaluation_batches(examples, batch_tokens):
        tensors = collate([examples[i] for i in batch]).to(next(model.parameters()).device)
        with _watched(model, modules, shared, sums, tensors, (directions, widest, generator)):
            body(input_ids=tensors.input_ids, use_cache=False)
        if progress is not None:
            progress(len(batch))
    tokens = sum(example.length for example in examples)
    moments = {name: each.moment(tokens, directions) for name, each in sums.items()}
    silent = [name for name in modules if shared.get(name) not in moments]
    if silent and (all_of_them or not moments):
        raise BadInput("no input reached this module", where=silent[0])
    by_module = {name: moments[shared[name]] for name in modules if name in shared}
    return InputStatistics(by_module, base_model, len(examples), tokens)


def inputs_of_domains(
    model: nn.Module,
    adapters: Sequence[Adapter],
    domains: Mapping[str, Sequence[Example]],
    base_model: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[InputStatistics, ...]:
    """Measure what each domain's rows send into the modules of any of the adapters, in the base.

    Arguments otherwise, and what is raised: as for `measure_inputs`.
    """
    known = (name for adapter in met(adapters, tree_of_loaded(model)) for name in adapter)
    modules = tuple(dict.fromkeys(known))
    return tuple(
        measure_inputs(model, modules, rows, base_model=base_model, progress=progress)
        for rows in domains.values()
    )


def linear_layers(model: nn.Module) -> tuple[str, ...]:
    """Name the linear layers of a model's body, in order: all that adapters commonly change."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    return tuple(
        name
        for name, module in model.named_modules()
        if (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D")
        and module is not head
    )


class _Sum:
    """The sum over tokens of x x^T, or of x (x^T Omega)."""

    def __init__(self, size: int, device: torch.device, directions: int, widest: int,
                 generator: torch.Generator) -> None:  # fmt: skip
        wide = size > widest
        columns = min(size, _OVERSAMPLED * directions) if wide else size
        self.omega = torch.randn(size, columns, generator=generator).to(device) if wide else None
        self.total = torch.zeros(size, columns, device=device)
        self.trace = 0.0

    def read(self, x: torch.Tensor) -> None:
        """Take in inputs (tokens, d)."""
        x = x.float()
        self.trace += float((x * x).sum())
        self.total.addmm_(x.T, x if self.omega is None else x @ self.omega)

    def moment(self, tokens: int, directions: int) -> SecondMoment:
        """Give the mean over the tokens."""
        total = self.total.double().cpu().numpy() / tokens
        if self.omega is None:
            return SecondMoment.of((total + total.T) / 2)
        return _nystrom(total, self.omega.double().cpu().numpy(), self.trace / tokens, directions)


def _nystrom(Y: np.ndarray, omega: np.ndarray, trace: float, directions: int) -> SecondMoment:
    """Give the strongest directions of C from Y = C Omega, shifted for the inverse's sake."""
    shift = np.sqrt(len(Y)) * np.finfo(float).eps * float(np.linalg.norm(Y))
    Y = Y + shift * omega
    small = omega.T @ Y
    root = np.linalg.cholesky((small + small.T) / 2)
    U, s, _ = np.linalg.svd(np.linalg.solve(root, Y.T).T, full_matrices=False)
    values = np.maximum(s**2 - shift, 0.0)[:directions]
    rest = max(0.0, trace - float(values.sum())) / max(1, len(Y) - len(values))
    return SecondMoment(U[:, : len(values)].astype(np.float32), values, rest)


@contextmanager
def _watched(
    model: nn.Module,
    modules: Sequence[str],
    shared: dict[str, str],
    sums: dict[str, _Sum],
    batch: Batch,
    kept: tuple[int, int, torch.Generator],
) -> Iterator[None]:
    """Sum each input tensor once, whoever reads it; padding does not count.

    shared: module -> the first module that read the same tensor, known after the first pass.
    """
    tokens_of = unpadded(batch)
    seen: dict[int, tuple[str, torch.Tensor]] = {}

    def hook(name: str) -> Callable[[Any, tuple[torch.Tensor, ...]], None]:
        def see(_: Any, args: tuple[torch.Tensor, ...]) -> None:
            x = args[0]
            first = shared.setdefault(name, seen.setdefault(id(x), (name, x))[0])
            if first != name:
                return
            if name not in sums:
                sums[name] = _Sum(x.shape[-1], x.device, *kept)
            sums[name].read(tokens_of(x))

        return see

    handles = [model.get_submodule(m).register_forward_pre_hook(hook(m)) for m in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _reaching(model: nn.Module, modules: Sequence[str]) -> nn.Module:
    """Give as much of the model as holds the modules: without the output layer where it can be."""
    body = str(getattr(model, "base_model_prefix", ""))
    inside = body and all(name.startswith(f"{body}.") for name in modules)
    return model.get_submodule(body) if inside else model
