"""Three ways to the second order in task weights: differences of slopes, and automatic ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measure import Sample, call, interleaved, ratio
from benchmarks.result import Result, Target
from benchmarks.training import LORA
from superpose import load
from superpose.data.prompt import Prompt
from superpose.data.questions import generate
from superpose.measure.batches import Batch, collate
from superpose.measure.loss import answer_logits, answer_nll
from superpose.model import SuperposedModel
from superpose.model.base_model import load_base
from superpose.training.settings import TrainingSettings
from superpose.training.train import train

__all__ = ["measure"]

DOMAINS = ("medicine", "math", "finance")
TRAINING = TrainingSettings(batch_size=4, learning_rate=3e-4)

Array = NDArray[np.float64]
Way: TypeAlias = Callable[["SuperposedModel", Batch, int], Array]


def measure(
    repeats: int = 3, rows: int = 16, train_rows: int = 64, base: str = "smollm2"
) -> Result:
    """Time them on one domain's rows, and hold what they foretell of every sum against it.

    Three adapters are trained on the demo's questions; the second order is taken at each domain's
    own adapter alone, and foretells what the domain loses when the others join.
    """
    loaded = load_base(base)
    prompt = Prompt(loaded.tokenizer, max_tokens=96)
    batches = []
    adapters = []
    with TemporaryDirectory() as folder:
        for domain in DOMAINS:
            seen, unseen = generate(domain, train_rows, rows, seed=0)
            path = Path(folder, domain)
            train(loaded, prompt.encode_all(seen), path, lora=LORA, training=TRAINING)
            adapters.append(load(path))
            batches.append(collate(prompt.encode_all(unseen)))
    before = loaded.model.config._attn_implementation
    ways: dict[str, Way] = {
        "differences of slopes": _differences,
        "double backward, eager attention": _eager(before, _hessian),
        "forward mode, eager attention": _eager(before, _forward_mode),
    }
    try:
        with SuperposedModel(loaded.model, adapters) as model:
            measured = _interference(model, batches)
            errors = {name: _error(way, model, batches, measured) for name, way in ways.items()}
            timings = interleaved(
                {"forward pass": lambda: call(lambda: _loss(model, batches[0], _own(0)))}
                | {name: _timed(way, model, batches[0]) for name, way in ways.items()},
                repeats,
            )
    finally:
        loaded.model.set_attn_implementation(before)
    once = timings["forward pass"]
    size = float(np.abs(measured).mean())
    return Result(
        "curvature",
        f"Which way to the second order in three task weights is the best for its cost ({rows} "
        f"rows, {int(batches[0].lengths.sum())} tokens, {base})? Differences are the slopes at K "
        "points; double backward is the exact Hessian at one point; forward mode gives the "
        "Gauss-Newton matrix there. Errors are of what domains lose when one or two others join, "
        f"{measured.size} losses of {size:.3f} nats on the mean.",
        timings,
        tuple(
            target
            for name in ways
            for target in (
                Target(f"forward passes, {name}", ratio(timings[name], once)),
                Target(f"error / mean interference, {name}", errors[name] / size),
            )
        ),
    )


def _timed(way: Way, model: SuperposedModel, batch: Batch) -> Callable[[], Sample]:
    return lambda: call(lambda: way(model, batch, 0))


def _others(own: int) -> Array:
    """What joins the own adapter: each other one, and both together."""
    first, second = (k for k in range(len(DOMAINS)) if k != own)
    unit = np.eye(len(DOMAINS))
    return np.array([unit[first], unit[second], unit[first] + unit[second]])


def _interference(model: SuperposedModel, batches: Sequence[Batch]) -> Array:
    """What each domain loses, in nats an answer token: (domains, 3)."""
    found = []
    for own, batch in enumerate(batches):
        alone = _loss(model, batch, _own(own))
        joined = [_own(own) + torch.from_numpy(step).float() for step in _others(own)]
        found.append([(_loss(model, batch, point) - alone) / _tokens(batch) for point in joined])
    return np.array(found)


def _error(way: Way, model: SuperposedModel, batches: Sequence[Batch], measured: Array) -> float:
    """Mean absolute error of the second-order expansion at each own adapter, in nats."""
    foretold = []
    for own, batch in enumerate(batches):
        steps, slope = _others(own), _slope(model, batch, _own(own))
        matrix = way(model, batch, own)
        second = np.einsum("sk,kj,sj->s", steps, matrix, steps) / 2
        foretold.append((steps @ slope + second) / _tokens(batch))
    return float(np.abs(np.array(foretold) - measured).mean())


def _tokens(batch: Batch) -> int:
    return int(batch.labels.numel())


def _own(domain: int) -> torch.Tensor:
    return torch.eye(len(DOMAINS))[domain]


def _loss(model: SuperposedModel, batch: Batch, point: torch.Tensor) -> float:
    with torch.no_grad(), model.at(point) as weighted:
        return float(answer_nll(weighted, batch).sum())


def _slope(model: SuperposedModel, batch: Batch, point: torch.Tensor) -> Array:
    weights = point.clone().requires_grad_()
    with torch.enable_grad(), model.at(weights) as weighted:
        loss = answer_nll(weighted, batch).sum()
        return np.asarray(torch.autograd.grad(loss, weights)[0].numpy(), dtype=np.float64)


def _differences(model: SuperposedModel, batch: Batch, own: int) -> Array:
    """Rows of the Hessian between the own adapter and each other one beside it.

    The own adapter's row is not known, and not asked for: its weight stays 1.
    """
    alone = _slope(model, batch, _own(own))
    matrix = np.zeros((len(DOMAINS), len(DOMAINS)))
    for other in range(len(DOMAINS)):
        if other != own:
            matrix[other] = _slope(model, batch, _own(own) + _own(other)) - alone
    return matrix


def _hessian(model: SuperposedModel, batch: Batch, own: int) -> Array:
    weights = _own(own).requires_grad_()
    with torch.enable_grad(), model.at(weights) as weighted:
        loss = answer_nll(weighted, batch).sum()
        (slope,) = torch.autograd.grad(loss, weights, create_graph=True)
        rows = [
            torch.autograd.grad(slope[k], weights, retain_graph=True)[0]
            for k in range(len(DOMAINS))
        ]
    return np.asarray(torch.stack(rows).numpy(), dtype=np.float64)


def _forward_mode(model: SuperposedModel, batch: Batch, own: int) -> Array:
    """The Gauss-Newton matrix: J' (diag p - p p') J with J the logits' derivatives."""
    from torch.autograd import forward_ad

    tangents = []
    for k in range(len(DOMAINS)):
        with forward_ad.dual_level():
            weights = forward_ad.make_dual(_own(own), _own(k))
            with torch.enable_grad(), model.at(weights) as weighted:
                logits = answer_logits(weighted, batch.input_ids, batch.positions)
            primal, tangent = forward_ad.unpack_dual(logits)
            tangents.append(tangent.detach())
    chances = primal.detach().float().softmax(dim=-1)
    J = torch.stack(tangents).float()
    mean = (J * chances).sum(dim=-1)
    matrix = torch.einsum("knv,nv,jnv->kj", J, chances, J) - mean @ mean.T
    return np.asarray(matrix.numpy(), dtype=np.float64)


def _eager(before: str, way: Way) -> Way:
    """PyTorch's quick attention has neither a second derivative nor a forward mode on a CPU."""

    def eagerly(model: SuperposedModel, batch: Batch, own: int) -> Array:
        model.model.set_attn_implementation("eager")
        try:
            return way(model, batch, own)
        finally:
            model.model.set_attn_implementation(before)

    return eagerly
