"""Weights finer than one an adapter: one for each layer, kind of module, module or direction.

Adam on the calibration rows, from the tuned weights and drawn back to them; a quarter of the rows
is held out, and what comes out is the state that was best there, the start among them: so finer
weights are never worse than the tuned ones on the rows they were not fitted to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from superpose.adapter.delta import FineWeight
from superpose.data.prompt import Example
from superpose.errors import BadInput, BadSetting
from superpose.landscape.best_weights import BOUNDS, Objective
from superpose.measure.batches import BATCH_TOKENS, collate, evaluation_batches
from superpose.measure.loss import answer_nll
from superpose.model.superposed import SuperposedModel
from superpose.shown import Line, Part, Shown

__all__ = ["FEWEST_FITTED", "By", "Finer", "finer_weights", "finer_work", "groups_of"]

Array = NDArray[np.float64]
By: TypeAlias = Literal["adapter", "layer", "kind", "module", "direction"]

STEPS = 40
EVERY = 8
"""Steps between two looks at the held-out rows."""

ROWS = 8
"""Rows of each domain in a step."""

RATE = 0.05
"""Adam's learning rate, in task weights: what a weight may move in one step."""

PULL = 0.02
"""Nats that moving every weight by 1 costs: it keeps those that hardly matter where they were."""

HELD_OUT = 0.25

FEWEST_FITTED = 4
"""Rows of a domain below which none can be held out."""

SOFTNESS = 0.05
"""Nats between two regrets at which the larger counts e times as much (objective worst)."""


@dataclass(frozen=True)
class Finer(Shown):
    """One weight for each adapter and target module, or for each direction of an adapter there.

    weights: adapter -> target module -> weight, or the weights of the delta's directions, the
    largest first. groups: how many weights of each adapter are free; of directions, the most.
    start, end: objective on the held-out rows with the tuned weights, and with these.
    """

    by: By
    weights: Mapping[str, Mapping[str, FineWeight]]
    groups: int
    start: float
    end: float

    def to_json(self) -> dict[str, Any]:
        """Give the same as dicts."""
        return {**vars(self), "weights": {name: dict(w) for name, w in self.weights.items()}}

    def shown(self) -> tuple[Part, ...]:
        """Give what the finer weights bring, and where they are."""
        brings = f"{self.start:+.4f} becomes {self.end:+.4f} on held-out rows"
        return (
            Line(
                f"{brings}. --json > weights.json has them",
                f"{self.groups} weights an adapter, by {self.by}:",
            ),
        )


def groups_of(modules: Sequence[str], by: By) -> NDArray[np.int64]:
    """Give the group of each of M target modules: (M,), numbered from 0 in order of appearance.

    adapter: all are one. layer: by the first number in the name; those without one are a group.
    kind: by the last part. Raises BadSetting for another word.
    """
    keys: dict[str, Callable[[str], str]] = {
        "adapter": lambda name: "",
        "layer": lambda name: next(iter(re.findall(r"\.(\d+)\.", f".{name}.")), ""),
        "kind": lambda name: name.rpartition(".")[2],
        "module": lambda name: name,
    }
    if by not in keys:
        raise BadSetting(f"{by!r} is none of adapter, layer, kind and module", where="by")
    found = [keys[by](module) for module in modules]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(found))}
    return np.array([numbers[key] for key in found])


def finer_weights(
    model: SuperposedModel,
    names: Sequence[str],
    domains: Mapping[str, Sequence[Example]],
    start: Sequence[float],
    own: Sequence[Array],
    *,
    by: By,
    objective: Objective = "mean",
    bounds: tuple[float, float] = BOUNDS,
    steps: int = STEPS,
    rate: float = RATE,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Finer:
    """Fit one weight for each adapter and group of target modules.

    start: (K,), the tuned weights. own: for each domain (R,), what its rows cost under its own
    adapter, in nats a row: a regret is counted from the same rows. rate: Adam's. seed: of the
    held-out rows and the batches. progress: called with forward-equivalent rows done, `finer_work`
    in all.

    Raises BadInput where a domain has too few rows to hold some out.
    """
    groups = torch.from_numpy(groups_of(model.modules, by))
    search = _Fit(model, domains, own, objective, seed, progress or (lambda _: None))
    count = int(groups.max()) + 1
    centre = torch.tensor(np.asarray(start), dtype=torch.float32).expand(count, -1)
    free = centre.clone().requires_grad_()
    adam = torch.optim.Adam([free], lr=rate)
    first = best = search.held_out(free[groups])
    chosen = free.detach().clone()
    for step in range(1, steps + 1):
        adam.zero_grad()
        search.add_gradient(free, groups)
        assert free.grad is not None
        free.grad += 2 * PULL / count * (free.detach() - centre)
        adam.step()
        with torch.no_grad():
            free.clamp_(*bounds)
        if step % EVERY == 0 or step == steps:
            value = search.held_out(free[groups])
            if value < best:
                best, chosen = value, free.detach().clone()
    table = chosen[groups].T.tolist()
    weights = {
        n: dict(zip(model.modules, w, strict=True)) for n, w in zip(names, table, strict=True)
    }
    return Finer(by, weights, count, first, best)


def finer_work(domains: Mapping[str, Sequence[Example]], steps: int = STEPS) -> float:
    """Give the work of `finer_weights` in forward passes of one row."""
    held = sum(_held(len(rows)) for rows in domains.values())
    looks = 1 + -(-steps // EVERY)
    drawn = sum(min(ROWS, len(rows) - _held(len(rows))) for rows in domains.values())
    return looks * held + 2.0 * steps * drawn


class _Fit:
    """The rows to fit and those held out, and the objective on both."""

    def __init__(
        self,
        model: SuperposedModel,
        domains: Mapping[str, Sequence[Example]],
        own: Sequence[Array],
        objective: Objective,
        seed: int,
        progress: Callable[[float], None],
    ) -> None:
        self.model, self.objective, self.progress = model, objective, progress
        self.random = np.random.default_rng(seed)
        self.held: list[list[Example]] = []
        self.fitted: list[list[Example]] = []
        self.own: list[float] = []
        for (name, rows), costs in zip(domains.items(), own, strict=True):
            if len(rows) < FEWEST_FITTED:
                raise BadInput(
                    f"{len(rows)} calibration rows are too few to hold some out", where=name
                )
            order = self.random.permutation(len(rows))
            cut = _held(len(rows))
            self.held.append([rows[i] for i in order[:cut]])
            self.fitted.append([rows[i] for i in order[cut:]])
            self.own.append(float(costs[order[:cut]].sum()) / _tokens(self.held[-1]))
        self.regrets = np.zeros(len(self.held))

    def held_out(self, weights: torch.Tensor) -> float:
        """Give the objective on the held-out rows at (M, K) weights."""
        losses = []
        for rows in self.held:
            total = 0.0
            for batch in evaluation_batches(rows, BATCH_TOKENS):
                with torch.no_grad(), self.model.at(weights.detach()[None]) as weighted:
                    tensors = collate([rows[i] for i in batch]).to(self._device)
                    total += float(answer_nll(weighted, tensors).sum())
                self.progress(len(batch))
            losses.append(total / _tokens(rows))
        self.regrets = np.array(losses) - np.array(self.own)
        worst = self.objective == "worst"
        return float(self.regrets.max() if worst else self.regrets.mean())

    def add_gradient(self, free: torch.Tensor, groups: torch.Tensor) -> None:
        """Add one step's gradient to `free`, a domain after the other: less memory, one sum."""
        free.grad = torch.zeros_like(free)
        for rows, share in zip(self.fitted, self._shares(), strict=True):
            drawn = self.random.choice(len(rows), min(ROWS, len(rows)), replace=False)
            chosen = [rows[i] for i in drawn]
            with torch.enable_grad(), self.model.at(free[groups][None]) as weighted:
                loss = answer_nll(weighted, collate(chosen).to(self._device)).sum()
                (loss * (share / _tokens(chosen))).backward()
            self.progress(2.0 * len(chosen))

    def _shares(self) -> Array:
        """Give each domain's part of the objective's gradient."""
        if self.objective == "mean":
            return np.full(len(self.held), 1.0 / len(self.held))
        heat = np.exp((self.regrets - self.regrets.max()) / SOFTNESS)
        return np.asarray(heat / heat.sum())

    @property
    def _device(self) -> torch.device:
        return next(self.model.model.parameters()).device


def _tokens(rows: Sequence[Example]) -> int:
    return sum(len(row.answer) for row in rows)


def _held(rows: int) -> int:
    return int(HELD_OUT * rows)
