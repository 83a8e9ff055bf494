"""The merged-data baselines: what each of them keeps equal to a domain's own adapter."""

from __future__ import annotations

import math
from dataclasses import replace

from superpose.studies.cells import StudyCell
from superpose.training.settings import LoraSettings, TrainingSettings

__all__ = ["baseline_settings"]


def baseline_settings(
    cell: StudyCell, lora: LoraSettings, training: TrainingSettings, steps: int
) -> tuple[LoraSettings, TrainingSettings]:
    """Give the settings that a cell is trained with.

    steps: optimiser steps of a single adapter. `merged_steps` has as many on its more rows, its
    learning rate schedule with them. `merged_rank` has the rank of the exact sum, with an alpha
    that leaves the scaling as it is: alpha / rank, or alpha / sqrt(rank) with rsLoRA.
    """
    if cell.method == "merged_steps":
        return lora, replace(training, trainer=training.trainer | {"max_steps": steps})
    if cell.method == "merged_rank":
        parts = len(cell.domains)
        larger = math.sqrt(parts) if lora.rslora else parts
        return replace(lora, rank=parts * lora.rank, alpha=lora.alpha * larger), training
    return lora, training
