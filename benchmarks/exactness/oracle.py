"""The right sum, and how far what a tool has written is from it. In float64, by PEFT.

A parent's delta is what `merge_and_unload` changes in a fresh model of its own, for every
parameter; the right sum is the weighted sum of the parents' deltas. What a tool has written is
loaded the same way, an adapter with PEFT into a fresh model, a model with transformers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.exactness.hosts import Host, load
from benchmarks.exactness.making import Made

if TYPE_CHECKING:
    import torch

__all__ = ["Deltas", "Right", "adapter_deltas", "model_deltas", "relative_error", "right_sum"]

Deltas = Mapping[str, "torch.Tensor"]
"""Parameter name -> change of the base model's parameter, in float64."""

_FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
"""As in transformers' Phi3Attention and Phi3MLP: fused layer -> whose rows it holds, in order."""


@dataclass(frozen=True)
class Right:
    """What should have been written. deltas: of the base's parameters. base: for a model.

    hosts: the parents' own models, in each of which an adapter may be meant to be loaded.
    """

    deltas: Deltas
    base: Host
    hosts: tuple[Host, ...]

    def error_of_model(self, path: str | Path) -> float:
        """Give a written model's relative error. Raises what transformers raises."""
        return relative_error(model_deltas(self.base, path), self.deltas)

    def error_of_adapter(self, path: str | Path) -> float:
        """Give a written adapter's relative error.

        Where the parents were trained on different models, the one counts that it fits best.
        Raises what PEFT raises where it can be loaded into none.
        """
        errors, troubles = [], []
        for host in self.hosts:
            try:
                errors.append(relative_error(adapter_deltas(host, path), self.deltas))
            except Exception as trouble:  # noqa: BLE001 (it need not fit all of them)
                troubles.append(trouble)
        if not errors:
            raise troubles[0]
        return min(errors)


def right_sum(made: Made) -> Right:
    """Give the weighted sum of the parents' own deltas.

    Raises ValueError where PEFT finds nothing in a parent: it would stand for no adapter at all.
    """
    total: dict[str, torch.Tensor] = {}
    for parent, weight in zip(made.parents, made.task.weights, strict=True):
        deltas = adapter_deltas(parent.host, parent.path)
        if not any(delta.any() for delta in deltas.values()):
            raise ValueError(f"{made.task.case}: PEFT loads nothing of {parent.path}")
        for name, delta in deltas.items():
            total[name] = total[name] + weight * delta if name in total else weight * delta
    hosts = dict.fromkeys(parent.host for parent in made.parents)
    return Right(total, made.base, tuple(hosts))


def adapter_deltas(host: Host, path: str | Path) -> Deltas:
    """Load an adapter with PEFT into a fresh model and merge it. Raises what PEFT raises."""
    from peft import PeftModel

    with _quiet():
        model, body = load(host, "float64")
        merged = PeftModel.from_pretrained(body, path, autocast_adapter_dtype=False)
        merged = merged.merge_and_unload()
        # Into a part of the model it is merged in place.
        return _change(host, model if host.bare else merged)


def model_deltas(base: Host, path: str | Path) -> Deltas:
    """Load a model with transformers. Raises what transformers raises."""
    with _quiet():
        return _change(base, load(Host(str(path), base.auto), "float64")[0])


def relative_error(written: Deltas, right: Deltas) -> float:
    """|written - right| / |right|, over all parameters as one long vector."""
    if missing := right.keys() ^ written.keys():
        raise ValueError(f"parameters on one side alone: {sorted(missing)[:4]}")
    wrong = sum(float((written[name] - right[name]).square().sum()) for name in right)
    norm = sum(float(delta.square().sum()) for delta in right.values())
    return float((wrong / norm) ** 0.5)


def _change(host: Host, model: Any) -> Deltas:
    before = dict(load(host, "float64")[0].named_parameters())
    after = dict(model.named_parameters())
    # A parameter that is not there in a tool's model has changed by all that it was.
    deltas = {
        name: (after[name].detach() if name in after else 0) - parameter.detach()
        for name, parameter in before.items()
    }
    return _fused(deltas) if host.split else deltas


def _fused(deltas: Deltas) -> Deltas:
    """Give the deltas of the model whose fused layers hold these layers' rows."""
    import torch

    found = dict(deltas)
    for name in deltas:
        for fused, parts in _FUSED.items():
            if f".{parts[0]}." in name:
                rows = [found.pop(name.replace(parts[0], part)) for part in parts]
                found[name.replace(parts[0], fused)] = torch.cat(rows)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep libraries from telling of keys that they miss: the error tells it."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity(50)  # critical: nothing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
