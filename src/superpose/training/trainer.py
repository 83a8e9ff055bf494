"""transformers' Trainer with the answer-only loss and batches of like length."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers
from torch import nn

from superpose.data.prompt import Example
from superpose.errors import BadInput
from superpose.measure.batches import Batch, LengthGroupedSampler, collate
from superpose.measure.loss import answer_loss

__all__ = ["AnswerTrainer", "Progress"]

Progress = Callable[[int, int, float | None], None]
"""Called with (steps done, steps in all, last loss) while a training runs."""


class AnswerTrainer(transformers.Trainer):
    """The Trainer, with what superpose knows of its rows.

    losses: nats an answer token at each optimiser step, over all processes. tokens and
    answer_tokens: seen by this process, padding not counted.
    """

    def __init__(
        self,
        model: nn.Module,
        arguments: transformers.TrainingArguments,
        examples: Sequence[Example],
        progress: Progress | None = None,
    ) -> None:
        super().__init__(
            model, arguments, train_dataset=list(examples), data_collator=_collate_fields
        )
        # Losses are normalised here, over the answer tokens of a whole optimiser step.
        self.model_accepts_loss_kwargs = True
        self._loss_shifts_labels = False
        self.remove_callback(transformers.PrinterCallback)
        self.add_callback(_Report(self, progress))
        self.losses: list[float] = []
        self.step_loss = 0.0
        self.tokens = self.answer_tokens = 0

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return LengthGroupedSampler(
            [row.length for row in rows], self.args.per_device_train_batch_size, self.args.seed
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The answer-only loss of a batch, normalised over the whole optimiser step."""
        batch = Batch(**inputs)
        loss = answer_loss(model, batch, num_items_in_batch)
        if model.training:
            self.tokens += int(batch.lengths.sum())
            self.answer_tokens += len(batch.labels)
            self.step_loss += float(loss.detach())
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            # The gradients are averaged over processes, the token count was summed over them.
            loss = loss * self.accelerator.num_processes
        return (loss, None) if return_outputs else loss

    def over_processes(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.accelerator.num_processes == 1:
            return value
        mine = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(mine, "sum"))


class _Report(transformers.TrainerCallback):
    """Keeps the loss of every optimiser step, reports progress, and ends what diverged."""

    def __init__(self, trainer: AnswerTrainer, progress: Progress | None) -> None:
        self.trainer = trainer
        self.progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        loss = self.trainer.over_processes(self.trainer.step_loss)
        self.trainer.step_loss = 0.0
        if not math.isfinite(loss):
            raise BadInput(
                f"the training diverged: the loss of step {state.global_step} is {loss}",
                hint="Nothing was written. Try a lower learning rate, or warm-up steps.",
            )
        self.trainer.losses.append(round(loss, 5))
        if self.progress is not None:
            self.progress(state.global_step, state.max_steps, loss)


def _collate_fields(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """A batch as the mapping of tensors that Trainer and accelerate move between devices."""
    return dict(vars(collate(examples)))
