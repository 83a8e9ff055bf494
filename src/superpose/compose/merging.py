"""The one entrance of all merge methods: what is alike in them is done here, once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from superpose.adapter import Adapter, Heads, Replacement, in_head, together, without_heads
from superpose.adapter.brought_together import of_its_class
from superpose.adapter.heads import HEADS, TASKS, chosen, with_head_of
from superpose.arguments import typed
from superpose.compose.method import Method
from superpose.compose.sum import Sum
from superpose.compose.weighted import with_each_parent
from superpose.errors import BadInput, SuperposeWarning
from superpose.lowrank import norm
from superpose.shown.words import counted

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress
    from superpose.names.tree import Tree


def merge(
    adapters: Sequence[Adapter],
    weights: Sequence[float] | None = None,
    method: Method = Sum(),  # noqa: B008 - frozen
    *,
    same_base: bool = False,
    tree: Tree | None = None,
    heads: Heads = "sum",
    progress: Progress | None = None,
) -> Adapter:
    """Make one adapter of several; target modules are united.

    adapters: at least one. weights: one task weight each, None means 1 each. method: one of
    `superpose.compose.METHODS`, with its settings. same_base: differing names of base models are
    known to mean one model. tree: the base model's own names, where it is at hand; the result's are
    those then. heads: what becomes of the layers that classifiers were given anew: "sum" merges
    them as all the rest, "none" leaves them out, and an adapter's name, path or number (from 1)
    takes that adapter's whole, at weight 1. progress: called with the modules done, how many there
    are, and the name of the next. A result that is zero (an adapter minus itself) is said with a
    SuperposeWarning. How it was made is the result's `made`.

    Raises BadInput for no adapter, another number of weights than adapters, a NaN or infinite
    weight, heads that name no adapter; DifferentBase when the adapters were trained on different
    base models; and as the method does.

    >>> superpose.merge([math, medicine], [1.0, 0.5], BestRank(rank=8))  # doctest: +SKIP
    """
    checked = _checked_weights(adapters, weights)
    head = chosen(adapters, heads)
    task = _task(adapters)
    if heads != "sum":
        adapters = [without_heads(adapter) for adapter in adapters]
    if head is not None:
        tree = of_its_class([head], tree)
    adapters = together(adapters, same_base=same_base, tree=tree)
    # Compared once, all together: from here on they go by one name, or each + would compare again.
    base = next((a.base_model for a in adapters if a.base_model is not None), None)
    one = base or "one base model"
    total = method.merged([a.on_base(one) for a in adapters], checked, progress).on_base(base)
    if not method.adds:
        total = with_each_parent(total, adapters, checked)
    total = _headed(total, heads, head, task)
    if _adds_nothing(total):
        warnings.warn(
            f"the sum is zero: `{total.name}` adds nothing to the base model",
            SuperposeWarning,
            stacklevel=2,
        )
    return method.of(total, progress)


@typed
def exact_sum(
    adapters: Sequence[Adapter],
    weights: Sequence[float] | None = None,
    *,
    same_base: bool = False,
    tree: Tree | None = None,
    heads: Heads = "sum",
) -> Adapter:
    """Give sum_k weights_k * adapters_k: `merge` by the method `Sum`, which has no settings.

    Its options, and what it raises, are those of `merge`.
    """
    return merge(adapters, weights, Sum(), same_base=same_base, tree=tree, heads=heads)


def _headed(total: Adapter, heads: Heads, head: Adapter | None, task: object) -> Adapter:
    """Give a sum the head that was asked for, or the task of those that have one.

    Without a head it is no classifier: PEFT would put a random one there for its task.
    """
    if head is not None:
        return with_head_of(total, head)
    if heads == "none":
        kept = {k: v for k, v in total.settings.items() if k not in ("task_type", "auto_mapping")}
        settings = kept if total.settings.get("task_type") in TASKS else total.settings
        return replace(total, settings=settings, metadata={**total.metadata, HEADS: "left out"})
    if task is None or not in_head(total):
        return total
    return replace(total, settings={**total.settings, "task_type": task})


def _task(adapters: Sequence[Adapter]) -> object:
    """Give the task type of the adapters that have a head; None where they do not agree."""
    tasks = {adapter.settings.get("task_type") for adapter in adapters if in_head(adapter)}
    return tasks.pop() if len(tasks) == 1 else None


def _adds_nothing(total: Adapter) -> bool:
    # The first module that is not zero ends the question.
    changed = any(norm(delta.terms) > 0.0 for delta in total.values())
    return not changed and all(_cancels(stored) for stored in total.replacements.values())


def _cancels(stored: Replacement) -> bool:
    """Say whether an absolute part adds nothing, whatever the base's own tensor is."""
    if not any(part.coefficient for part in stored.parts):
        return True
    if not stored.absolute or stored.total != 0.0:
        return False
    return not stored.change(np.zeros(stored.shape)).any()


def _checked_weights(
    adapters: Sequence[Adapter], weights: Sequence[float] | None
) -> Sequence[float]:
    if not adapters:
        raise BadInput("a sum needs at least one adapter")
    if weights is None:
        return [1.0] * len(adapters)
    if len(weights) != len(adapters):
        raise BadInput(
            f"{counted(len(adapters), 'adapter')} and {counted(len(weights), 'task weight')}",
            hint="Give one task weight for each adapter.",
        )
    for adapter, weight in zip(adapters, weights, strict=True):
        if not math.isfinite(weight):
            raise BadInput(f"the task weight of `{adapter.name}` is {weight}; it must be finite")
    return weights
