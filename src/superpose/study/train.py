"""Train one adapter on one domain's rows with transformers' Trainer and the answer-only loss.

The Trainer keeps what its users know (schedulers, checkpoints, report_to, accelerate on
several processes); batches of like length and logits for answer tokens alone keep it quick.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from torch import nn

from superpose.errors import BadInput
from superpose.files import new_folder
from superpose.landscape.base_model import BaseModel
from superpose.study.batches import Batch, LengthGroupedSampler, collate
from superpose.study.loss import answer_loss
from superpose.study.prompt import Example
from superpose.study.settings import LoraSettings, TrainingSettings

__all__ = ["FILES", "RECORD", "Trained", "is_first_process", "train"]

RECORD = "training.json"
FILES = ("adapter_config.json", "adapter_model.safetensors", "README.md", RECORD)

Progress = Callable[[int, int, float | None], None]
"""Called with (steps done, steps in all, last loss) while a training runs."""


@dataclass(frozen=True)
class Trained:
    """What a training did. tokens: input tokens seen; losses: nats an answer token, a step."""

    path: str
    rows: int
    steps: int
    tokens: int
    answer_tokens: int
    seconds: float
    losses: tuple[float, ...]


def train(
    base: BaseModel,
    examples: Sequence[Example],
    out: str | Path,
    *,
    lora: LoraSettings | None = None,
    training: TrainingSettings | None = None,
    seed: int = 0,
    force: bool = False,
    resume: str | Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a LoRA adapter on `examples` and write it to `out` as a PEFT folder.

    The base is not copied: PEFT puts its layers in for the training and they are taken out
    again, also when it fails. seed: decides the start of A, the order of rows and the dropout.
    resume: a checkpoint folder of the Trainer to go on from.

    Raises BadInput for no examples, unknown target modules or unknown Trainer settings, and
    OutputExists where `out` stands and `force` is not given.
    """
    lora = lora or LoraSettings()
    training = training or TrainingSettings()
    if not examples:
        raise BadInput("no rows to train on")
    arguments = _arguments(training, seed, Path(out), on_cpu=base.model.device.type == "cpu")
    with _place(out, force) as beside:
        started = time.perf_counter()
        adapted = _adapted(base, lora, seed)
        try:
            trainer = _AnswerTrainer(adapted, arguments, examples, progress)
            trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
            # The base's embeddings are not trained; "auto" would ask the hub about them.
            adapted.save_pretrained(beside, save_embedding_layers=False)
            trainer.accelerator.wait_for_everyone()
        finally:
            adapted.unload()
            # Trainer leaves its mode behind, and PEFT its notes on the base.
            base.model.eval().requires_grad_(False)
            if hasattr(base.model, "peft_config"):
                del base.model.peft_config
            _drop_if_empty(Path(str(arguments.output_dir)))
        trained = Trained(
            str(out),
            rows=len(examples),
            steps=trainer.state.global_step,
            tokens=trainer.tokens,
            answer_tokens=trainer.answer_tokens,
            seconds=time.perf_counter() - started,
            losses=tuple(trainer.losses),
        )
        record = asdict(trained) | {
            "path": None,
            "base": base.name,
            "seed": seed,
            "lora": lora.model_dump(),
            "training": training.model_dump(),
        }
        (beside / RECORD).write_text(json.dumps(record, indent=1))
    return trained


def is_first_process() -> bool:
    """Whether this process speaks and writes for all that `accelerate launch` started."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def _place(out: str | Path, force: bool) -> Iterator[Path]:
    """Where this process writes: the first of several to `out`, the others to nowhere."""
    if is_first_process():
        with new_folder(out, force=force, replaceable=FILES) as beside:
            yield beside
    else:
        with tempfile.TemporaryDirectory() as nowhere:
            yield Path(nowhere)


def _adapted(base: BaseModel, lora: LoraSettings, seed: int) -> Any:
    """The base with fresh PEFT layers in it, their A drawn from `seed`."""
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=_whole(lora.alpha),
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets) or None,
        use_rslora=lora.rslora,
    )
    torch.manual_seed(seed)
    try:
        with warnings.catch_warnings():
            # GPT-2's Conv1D: PEFT sets fan_in_fan_out right by itself, and says so.
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
            # transformers renamed what PEFT still asks for.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
            adapted = peft.get_peft_model(base.model, config)
    except ValueError as error:
        raise BadInput(
            f"PEFT cannot put LoRA into this model: {str(error).splitlines()[0]}",
            where=base.name,
            hint="Name the target modules, such as q_proj,v_proj (Llama) or c_attn (GPT-2).",
        ) from error
    return adapted


def _whole(alpha: float) -> Any:
    """64 for 64.0, as PEFT's users write it."""
    return int(alpha) if alpha.is_integer() else alpha


def _arguments(
    training: TrainingSettings, seed: int, out: Path, *, on_cpu: bool
) -> transformers.TrainingArguments:
    settings: dict[str, Any] = {
        "output_dir": str(out.with_name(out.name + ".checkpoints")),
        "num_train_epochs": training.epochs,
        "learning_rate": training.learning_rate,
        "per_device_train_batch_size": training.batch_size,
        "lr_scheduler_type": training.scheduler,
        "warmup_steps": training.warmup_steps,
        "weight_decay": training.weight_decay,
        "seed": seed,
        "save_strategy": "no",
        "report_to": "none",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "label_names": ["labels"],
        # Told, the Trainer also finds its peers on machines without an accelerator.
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
    }
    try:
        arguments = transformers.TrainingArguments(**(settings | training.trainer))
    except (TypeError, ValueError) as error:
        raise BadInput(f"transformers' TrainingArguments refuse a setting: {error}") from error
    # One process drives one device; several take `accelerate launch`. DataParallel would
    # scatter the flat answer positions.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _drop_if_empty(checkpoints: Path) -> None:
    """The Trainer makes its checkpoint folder whether or not a checkpoint was asked for."""
    with contextlib.suppress(OSError):
        checkpoints.rmdir()


class _AnswerTrainer(transformers.Trainer):
    """Trainer with batches of like length and the answer-only loss."""

    def __init__(
        self,
        model: nn.Module,
        arguments: transformers.TrainingArguments,
        examples: Sequence[Example],
        progress: Progress | None,
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
        batch = Batch(**inputs)
        loss = answer_loss(model, batch, num_items_in_batch)
        if model.training:
            self.tokens += batch.input_ids.numel()
            self.answer_tokens += len(batch.labels)
            self.step_loss += float(loss.detach())
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            # The gradients are averaged over processes, the token count was summed over them.
            loss = loss * self.accelerator.num_processes
        return (loss, None) if return_outputs else loss


class _Report(transformers.TrainerCallback):
    """Keeps the loss of every optimiser step and reports progress."""

    def __init__(self, trainer: _AnswerTrainer, progress: Progress | None) -> None:
        self.trainer = trainer
        self.progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.trainer.losses.append(round(self.trainer.step_loss, 5))
        self.trainer.step_loss = 0.0
        if self.progress is not None:
            self.progress(state.global_step, state.max_steps, self.trainer.losses[-1])


def _collate_fields(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """A batch as the mapping of tensors that Trainer and accelerate move between devices."""
    return dict(vars(collate(examples)))
