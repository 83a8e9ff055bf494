"""Measure inner products of deltas under a domain's data: one forward and one backward pass.

The labels are drawn from the model's own distribution, so that the gradients' second moment is the
Fisher matrix, not the "empirical" one of the right answers (Kunstner et al., arXiv 1905.12558).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from superpose.adapter import Adapter
from superpose.data.prompt import Example
from superpose.landscape.calibrated import DataInner
from superpose.lowrank import stack
from superpose.measure.batches import BATCH_TOKENS, Batch, collate, evaluation_batches, unpadded
from superpose.measure.loss import answer_logits
from superpose.model.superposed import SuperposedModel

__all__ = ["measure_inner"]


def measure_inner(
    model: SuperposedModel,
    examples: Sequence[Example],
    at: Sequence[float] | NDArray[np.float64],
    *,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], None] | None = None,
) -> DataInner:
    """Give inner products of the model's K deltas on `examples` at the task weights `at` (K,).

    seed: of the labels. progress: called with the rows done.
    """
    device = next(model.model.parameters()).device
    weights = torch.tensor([float(w) for w in at], device=device, requires_grad=True)
    generator = torch.Generator(device).manual_seed(seed)
    projections = {name: _Projections(name, model.adapters, device) for name in model.modules}
    for batch in evaluation_batches(examples, batch_tokens):
        tensors = collate([examples[i] for i in batch]).to(device)
        with torch.enable_grad(), model.at(weights), _watched(model.model, projections, tensors):
            loss = _sampled_loss(model.model, tensors, generator)
            torch.autograd.grad(loss, weights)
        if progress is not None:
            progress(len(batch))
    tokens = sum(example.length for example in examples)
    answers = sum(len(example.answer) for example in examples)
    found = [each.inner(tokens, answers) for each in projections.values()]
    inputs, curvature = (np.stack(kind) for kind in zip(*found, strict=True))
    return DataInner(inputs, curvature, model.modules)


class _Projections:
    """One target module's sums over tokens of (A x)(A x)^T and (B^T g)(B^T g)^T, both (R, R)."""

    def __init__(self, name: str, adapters: Sequence[Adapter], device: torch.device) -> None:
        terms = [(k, stack(a[name].terms)) for k, a in enumerate(adapters) if name in a]
        A = np.concatenate([np.asarray(term.A, dtype=np.float32) for _, term in terms])
        B = np.concatenate([np.asarray(term.B, dtype=np.float32) for _, term in terms], axis=1)
        owner = np.repeat([k for k, _ in terms], [term.A.shape[0] for _, term in terms])
        self.A, self.B = torch.from_numpy(A).to(device), torch.from_numpy(B).to(device)
        self.plain = B.T.astype(np.float64) @ B.astype(np.float64)
        self.blocks = np.eye(len(adapters))[owner]  # (R, K)
        self.inputs = np.zeros((len(owner), len(owner)))
        self.outputs = np.zeros_like(self.inputs)

    def read(self, x: torch.Tensor) -> None:
        """Take in inputs (tokens, in)."""
        low = x.detach().to(self.A.dtype) @ self.A.T
        self.inputs += (low.T @ low).double().cpu().numpy()

    def wrote(self, g: torch.Tensor) -> None:
        """Take in gradients by outputs (rows, tokens, out); they are zero on padding."""
        low = g.detach().to(self.B.dtype).reshape(-1, g.shape[-1]) @ self.B
        self.outputs += (low.T @ low).double().cpu().numpy()

    def inner(self, tokens: int, answers: int) -> tuple[np.ndarray, np.ndarray]:
        """Give both (K, K) inner products: a mean over tokens, and nats an answer token."""
        inputs = self.blocks.T @ (self.plain * self.inputs) @ self.blocks
        # H = tokens * S (x) G of the summed loss, with S and G means over tokens.
        curvature = self.blocks.T @ (self.outputs * self.inputs) @ self.blocks
        return inputs / tokens, curvature / tokens / answers


@contextmanager
def _watched(
    model: nn.Module, projections: dict[str, _Projections], batch: Batch
) -> Iterator[None]:
    """Let the projections see what goes into the modules and which gradients come back."""
    tokens_of = unpadded(batch)

    def hook(into: _Projections) -> Callable[[Any, tuple[torch.Tensor, ...], torch.Tensor], None]:
        def see(_: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            into.read(tokens_of(args[0]))
            output.register_hook(into.wrote)

        return see

    handles = [
        model.get_submodule(name).register_forward_hook(hook(each))
        for name, each in projections.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _sampled_loss(model: Any, batch: Batch, generator: torch.Generator) -> torch.Tensor:
    """Summed negative log-likelihood of answer tokens drawn from the model itself."""
    logits = answer_logits(model, batch.input_ids, batch.positions).float()
    chances = logits.detach().softmax(dim=-1)
    drawn = torch.multinomial(chances, 1, generator=generator)[:, 0]
    return nn.functional.cross_entropy(logits, drawn, reduction="sum")
