"""What can be set about an adapter and its training; the words of the study file.

Frozen pydantic models: an unknown key is an error that names the keys there are.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from superpose.data.prompt import DEFAULT_TEMPLATE

__all__ = ["LoraSettings", "PromptSettings", "Settings", "TrainingSettings"]


class Settings(BaseModel):
    """Base of everything that people write: frozen, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LoraSettings(Settings):
    """The adapter: PEFT's LoraConfig, in its words where they are short."""

    rank: int = Field(4, ge=1, description="rank r of every target module")
    alpha: float = Field(64.0, gt=0, description="lora_alpha; the scaling is alpha / rank")
    dropout: float = Field(0.1, ge=0, lt=1, description="lora_dropout while training")
    targets: tuple[str, ...] = Field(
        (), description="target modules; empty: what PEFT knows for the architecture"
    )
    rslora: bool = Field(False, description="scaling alpha / sqrt(rank) instead")


class PromptSettings(Settings):
    """How a row becomes tokens."""

    max_tokens: int = Field(128, ge=8, description="longest question and answer, in tokens")
    template: str = Field(
        DEFAULT_TEMPLATE, pattern=r"\{question\}", description="text before the answer"
    )


class TrainingSettings(Settings):
    """The optimisation: transformers' TrainingArguments, the common ones by short names."""

    epochs: float = Field(1.0, gt=0)
    learning_rate: float = Field(3e-4, gt=0)
    batch_size: int = Field(8, ge=1, description="rows a step (and process)")
    scheduler: str = Field("linear", description="lr_scheduler_type")
    warmup_steps: float = Field(0.0, ge=0, description="steps, or below 1 a share of them")
    weight_decay: float = Field(0.0, ge=0)
    trainer: dict[str, Any] = Field(
        default_factory=dict, description="any further TrainingArguments, such as report_to"
    )
