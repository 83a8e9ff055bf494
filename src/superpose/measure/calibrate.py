"""Measure a domain's loss in lambda space: for every row its value and gradient at chosen weights.

A row's loss depends on that row's task weights alone, so one backward pass gives every row its own
gradient, and by target module: intervals and contributions of modules cost nothing more. A gradient
in lambda costs about two forward passes, because no weight of the base needs one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from superpose.data.prompt import Example
from superpose.landscape.sample import Sample
from superpose.measure.batches import BATCH_TOKENS, collate, evaluation_batches
from superpose.measure.loss import answer_nll
from superpose.model.superposed import SuperposedModel

__all__ = ["measure"]


def measure(
    model: SuperposedModel,
    examples: Sequence[Example],
    points: Sequence[Sequence[float] | NDArray[np.float64]],
    *,
    gradients: bool = True,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], None] | None = None,
) -> Sample:
    """Give losses, and their gradients, of `examples` at `points`.

    points: P of K task weights each. gradients: False asks for the values alone, in half the time.
    progress: called with the rows done, P times all rows in the end.
    """
    rows, modules = len(examples), model.modules
    device = next(model.model.parameters()).device
    lambdas = np.asarray(points, dtype=np.float64).reshape(-1, len(model.adapters))
    nll = np.empty((len(lambdas), rows))
    gradient = np.full((len(lambdas), rows, len(modules), lambdas.shape[1]), np.nan)
    for batch in evaluation_batches(examples, batch_tokens):
        tensors = collate([examples[i] for i in batch]).to(device)
        for p, point in enumerate(lambdas):
            weights = torch.tensor(point, dtype=torch.float32, device=device)
            if not gradients:
                with torch.no_grad(), model.at(weights) as weighted:
                    nll[p, batch] = answer_nll(weighted, tensors).cpu().numpy()
            else:
                each = weights.expand(len(batch), len(modules), -1).clone().requires_grad_()
                with torch.enable_grad(), model.at(each) as weighted:
                    values = answer_nll(weighted, tensors)
                    (slopes,) = torch.autograd.grad(values.sum(), each)
                nll[p, batch] = values.detach().cpu().numpy()
                gradient[p, batch] = slopes.double().cpu().numpy()
            if progress is not None:
                progress(len(batch))
    tokens = np.array([len(example.answer) for example in examples])
    return Sample(lambdas, nll, gradient, tokens, modules)
