"""Three ways to the second order in task weights: differences of slopes, and automatic ones."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.adapters import write_adapters
from benchmarks.evaluation import SMOLLM2
from benchmarks.measure import call, interleaved, ratio
from benchmarks.result import Result, Target
from superpose import load
from superpose.landscape import SuperposedModel
from superpose.landscape.base_model import load_base
from superpose.study.batches import Batch, collate
from superpose.study.loss import answer_logits, answer_nll
from superpose.study.prompt import Prompt
from superpose.study.questions import generate

__all__ = ["measure"]

NAMES = "abc"


def measure(repeats: int = 3, rows: int = 16, base: str = "smollm2") -> Result:
    """Time them on one batch with three adapters, from the own adapter alone."""
    loaded = load_base(base)
    prompt = Prompt(loaded.tokenizer, max_tokens=96)
    batch = collate(prompt.encode_all(generate("medicine", 1, rows, seed=0)[1]))
    with TemporaryDirectory() as folder:
        paths = write_adapters(Path(folder), NAMES, SMOLLM2, layers=30, rank=4)
        adapters = [load(path) for path in paths]
    before = loaded.model.config._attn_implementation
    try:
        with SuperposedModel(loaded.model, adapters) as model:
            timings = interleaved(
                {
                    "forward pass": lambda: call(lambda: _loss(model, batch)),
                    "differences of slopes": lambda: call(lambda: _differences(model, batch)),
                    "double backward, eager attention": lambda: call(
                        lambda: _eager(loaded.model, before, lambda: _hessian(model, batch))
                    ),
                    "forward mode, eager attention": lambda: call(
                        lambda: _eager(loaded.model, before, lambda: _forward_mode(model, batch))
                    ),
                },
                repeats,
            )
    finally:
        loaded.model.set_attn_implementation(before)
    once, *ways = timings.values()
    names = list(timings)[1:]
    return Result(
        "curvature",
        f"Which way to the second order in three task weights is the cheapest ({rows} rows, "
        f"{int(batch.lengths.sum())} tokens, {base})? Differences are K slopes, which hold the "
        "values of all pairs as well; double backward is the exact Hessian at one point; forward "
        "mode gives the Gauss-Newton matrix there.",
        timings,
        tuple(
            Target(f"forward passes, {name}", ratio(way, once))
            for name, way in zip(names, ways, strict=True)
        ),
    )


def _own() -> torch.Tensor:
    return torch.eye(len(NAMES))[0]


def _loss(model: SuperposedModel, batch: Batch) -> float:
    with torch.no_grad(), model.at(_own()) as weighted:
        return float(answer_nll(weighted, batch).sum())


def _differences(model: SuperposedModel, batch: Batch) -> np.ndarray:
    slopes = []
    for beside in range(len(NAMES)):
        point = _own()
        point[beside] = 1.0
        weights = point.requires_grad_()
        with torch.enable_grad(), model.at(weights) as weighted:
            loss = answer_nll(weighted, batch).sum()
            slopes.append(torch.autograd.grad(loss, weights)[0].numpy())
    return np.array(slopes)


def _hessian(model: SuperposedModel, batch: Batch) -> np.ndarray:
    weights = _own().requires_grad_()
    with torch.enable_grad(), model.at(weights) as weighted:
        loss = answer_nll(weighted, batch).sum()
        (slope,) = torch.autograd.grad(loss, weights, create_graph=True)
        rows = [
            torch.autograd.grad(slope[k], weights, retain_graph=True)[0] for k in range(len(NAMES))
        ]
    return torch.stack(rows).numpy()


def _forward_mode(model: SuperposedModel, batch: Batch) -> np.ndarray:
    """The Gauss-Newton matrix: J' (diag p - p p') J with J the logits' derivatives."""
    from torch.autograd import forward_ad

    tangents = []
    for k in range(len(NAMES)):
        with forward_ad.dual_level():
            weights = forward_ad.make_dual(_own(), torch.eye(len(NAMES))[k])
            with torch.enable_grad(), model.at(weights) as weighted:
                logits = answer_logits(weighted, batch.input_ids, batch.positions)
            primal, tangent = forward_ad.unpack_dual(logits)
            tangents.append(tangent.detach())
    chances = primal.detach().float().softmax(dim=-1)
    J = torch.stack(tangents).float()
    mean = (J * chances).sum(dim=-1)
    matrix = torch.einsum("knv,nv,jnv->kj", J, chances, J) - mean @ mean.T
    return matrix.numpy()


def _eager(model: Any, before: str, do: Any) -> np.ndarray:
    """PyTorch's quick attention has neither a second derivative nor a forward mode on a CPU."""
    model.set_attn_implementation("eager")
    try:
        found: np.ndarray = do()
    finally:
        model.set_attn_implementation(before)
    return found
