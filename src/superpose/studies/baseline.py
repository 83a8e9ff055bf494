"""The merged-data baselines: what each of them keeps equal to a domain's own adapter."""

from __future__ import annotations

import math

from superpose.studies.cells import Cell
from superpose.training.settings import LoraSettings, TrainingSettings

__all__ = ["baseline_settings"]


def baseline_settings(
    cell: Cell, lora: LoraSettings, training: TrainingSettings, steps: int
) -> tuple[LoraSettings, TrainingSettings]:
    """Give the settings that a cell is trained with.

    steps: optimiser steps of a single adapter. `merged_steps` has as many on its more rows, its
    learning rate schedule with them. `merged_rank` has the rank of the exact sum, with an alpha
    that leaves the scaling as it is: alpha / rank, or alpha / sqrt(rank) with rsLoRA.
    """
    if cell.method == "merged_steps":
        given = {"trainer": training.trainer | {"max_steps": steps}}
        return lora, training.model_copy(update=given)
    if cell.method == "merged_rank":
        parts = len(cell.domains)
        larger = math.sqrt(parts) if lora.rslora else parts
        wider = {"rank": parts * lora.rank, "alpha": lora.alpha * larger}
        return lora.model_copy(update=wider), training
    return lora, training
