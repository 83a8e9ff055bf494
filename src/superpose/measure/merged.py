"""What question rows cost under a merged adapter that never saw them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from superpose.adapter import Adapter
from superpose.compose import merge
from superpose.compose.from_inputs import FromInputs
from superpose.data.prompt import Example
from superpose.measure.calibrate import measure
from superpose.measure.inputs import inputs_of_domains
from superpose.model.superposed import SuperposedModel, tree_of_loaded

__all__ = ["CROSSED_PASSES", "crossed_losses", "merged_losses"]

CROSSED_PASSES = 2.0
"""Over all rows: of their inputs, and under the merges."""

Array = NDArray[np.float64]
Rows = Mapping[str, Sequence[Example]]


def crossed_losses(
    model: nn.Module,
    adapters: Sequence[Adapter],
    domains: Rows,
    method: FromInputs,
    progress: Callable[[int], None] | None = None,
) -> list[Array]:
    """Give each row's nats (R,), by domain, under a merge whose statistics are of the other half.

    domains: at least two rows each, which are halved in turns. progress: called with rows done,
    CROSSED_PASSES of all in the end.
    """
    found = [np.empty(len(rows)) for rows in domains.values()]
    for half in (0, 1):
        learnt = {name: rows[half::2] for name, rows in domains.items()}
        asked = {name: rows[1 - half :: 2] for name, rows in domains.items()}
        losses = merged_losses(model, adapters, learnt, asked, method, progress)
        for nats, part in zip(found, losses, strict=True):
            nats[1 - half :: 2] = part
    return found


def merged_losses(
    model: nn.Module,
    adapters: Sequence[Adapter],
    learnt: Rows,
    asked: Rows,
    method: FromInputs,
    progress: Callable[[int], None] | None = None,
) -> list[Array]:
    """Give each asked row's nats, by domain, under the merge of what the learnt rows tell.

    model: the bare base. learnt: of each adapter's own domain, in the adapters' order. progress:
    called with rows done, learnt and asked ones.
    """
    statistics = inputs_of_domains(model, adapters, learnt, progress=progress)
    told = replace(method, statistics=statistics)
    merged = merge(adapters, None, told, same_base=True, tree=tree_of_loaded(model))
    with SuperposedModel(model, [merged]) as superposed:
        samples = [
            measure(superposed, rows, [[1.0]], gradients=False, progress=progress)
            for rows in asked.values()
        ]
    return [sample.nll[0] for sample in samples]
