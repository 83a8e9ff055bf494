"""The right sum, and how far what a tool has written is from it. In float64, by PEFT.

A parent's delta is what `merge_and_unload` changes in a fresh base, for every parameter; the right
sum is the weighted sum of the parents' deltas. What a tool has written is loaded the same way, an
adapter with PEFT into a fresh base, a model with transformers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.exactness.protocol import Task

if TYPE_CHECKING:
    import torch

__all__ = ["Deltas", "adapter_deltas", "model_deltas", "relative_error", "right_sum"]

Deltas = Mapping[str, "torch.Tensor"]
"""Parameter name -> change of the base model's parameter, in float64."""


def right_sum(task: Task) -> Deltas:
    """Give the weighted sum of the parents' own deltas."""
    total: dict[str, torch.Tensor] = {}
    for path, weight in zip(task.adapters, task.weights, strict=True):
        for name, delta in adapter_deltas(task.base, path).items():
            total[name] = total[name] + weight * delta if name in total else weight * delta
    return total


def adapter_deltas(base: str, path: str | Path) -> Deltas:
    """Load an adapter with PEFT into a fresh base and merge it. Raises what PEFT raises."""
    from peft import PeftModel

    with _quiet():
        model = PeftModel.from_pretrained(_load(base), path, autocast_adapter_dtype=False)
        return _change(base, model.merge_and_unload())


def model_deltas(base: str, path: str | Path) -> Deltas:
    """Load a model with transformers. Raises what transformers raises."""
    with _quiet():
        return _change(base, _load(path))


def relative_error(written: Deltas, right: Deltas) -> float:
    """|written - right| / |right|, over all parameters as one long vector."""
    if missing := right.keys() ^ written.keys():
        raise ValueError(f"parameters on one side alone: {sorted(missing)[:4]}")
    wrong = sum(float((written[name] - right[name]).square().sum()) for name in right)
    norm = sum(float(delta.square().sum()) for delta in right.values())
    return float((wrong / norm) ** 0.5)


def _load(path: str | Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float64)


def _change(base: str, model: Any) -> Deltas:
    before = dict(_load(base).named_parameters())
    after = dict(model.named_parameters())
    # A parameter that is not there in a tool's model has changed by all that it was.
    return {
        name: (after[name].detach() if name in after else 0) - parameter.detach()
        for name, parameter in before.items()
    }


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
