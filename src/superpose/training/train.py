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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

from superpose.data.chat import CHAT_FILE, ChatTemplate
from superpose.data.prompt import Example
from superpose.errors import BadInput, MissingExtra
from superpose.files import new_folder
from superpose.files.file_format import INPUT_STATISTICS, PEFT
from superpose.model.base_model import BaseModel
from superpose.shown import Line, Part, Shown
from superpose.training.refused import ALL_LINEAR, check_targets, check_template, check_trainer
from superpose.training.settings import LoraSettings, TrainingSettings
from superpose.training.trainer import AnswerTrainer, Progress

__all__ = ["FILES", "RECORD", "Trained", "is_first_process", "train"]

RECORD = "training.json"
FILES = (*PEFT.folder, "README.md", RECORD, INPUT_STATISTICS, CHAT_FILE)


@dataclass(frozen=True)
class Trained(Shown):
    """What a training did.

    tokens: seen, padding not counted. losses: nats an answer token at each optimiser step. prompt:
    what the rows were made of, as `Prompt.to_json` gives it; nothing where nobody said.
    """

    path: str
    rows: int
    steps: int
    tokens: int
    answer_tokens: int
    seconds: float
    losses: tuple[float, ...]
    prompt: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give what `train --json` prints."""
        return {"output" if key == "path" else key: value for key, value in asdict(self).items()}

    def shown(self) -> tuple[Part, ...]:
        """Give one line: what was trained on, for how long, and what became of the loss."""
        losses = self.losses
        change = f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, " if losses else ""
        said = (
            f"{self.path}: {self.rows} rows, {self.steps} steps, {change}{self.seconds:.0f} s "
            f"({self.tokens / self.seconds:.0f} tokens/s)"
        )
        return (Line(said),)


def train(
    base: BaseModel,
    examples: Sequence[Example],
    out: str | Path,
    *,
    lora: LoraSettings | None = None,
    training: TrainingSettings | None = None,
    seed: int = 0,
    prompt: Mapping[str, Any] | None = None,
    chat: ChatTemplate | None = None,
    force: bool = False,
    resume: str | Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a LoRA adapter on `examples` and write it to `out` as a PEFT folder.

    The base is not copied: PEFT puts its layers in for the training and they are taken out
    again, also when it fails. seed: decides the start of A, the order of rows and the dropout.
    prompt: what the rows were made of, noted beside the adapter. chat: the chat template that they
    went through, written beside it, where every reader of tokenizers looks for it. resume: a
    checkpoint folder of the Trainer to go on from.

    Raises BadSetting for a target module that the base does not have and for unknown Trainer
    settings, BadInput for no examples and for a training that diverges; OutputExists where `out`
    stands and `force` is not given; Refused for a chat template that is none of the base's own
    files; MissingExtra where `report_to` names what is not installed.
    """
    lora = lora or LoraSettings()
    training = training or TrainingSettings()
    if not examples:
        raise BadInput("no rows to train on")
    check_targets(base, lora.targets)
    check_template(base, chat)
    arguments = _arguments(training, seed, Path(out), on_cpu=base.model.device.type == "cpu")
    with _place(out, force) as beside:
        started = time.perf_counter()
        with _adapted(base, lora, seed) as adapted, _no_empty_folder(arguments):
            trainer = _trainer(adapted, arguments, examples, progress)
            trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
            # The base's embeddings are not trained; "auto" would ask the hub about them.
            adapted.save_pretrained(beside, save_embedding_layers=False)
            _in_one_order(beside / PEFT.folder[0])
            _check_finite(adapted)
            trained = Trained(
                str(out),
                rows=len(examples),
                steps=trainer.state.global_step,
                tokens=int(trainer.over_processes(trainer.tokens)),
                answer_tokens=int(trainer.over_processes(trainer.answer_tokens)),
                seconds=time.perf_counter() - started,
                losses=tuple(trainer.losses),
                prompt=dict(prompt or {}),
            )
        settings = {"lora": asdict(lora), "training": asdict(training)}
        where = {"path": None, "base": base.name, "threads": torch.get_num_threads()}
        record = asdict(trained) | where | {"seed": seed} | settings
        (beside / RECORD).write_text(json.dumps(record, indent=1))
        if chat is not None:
            (beside / CHAT_FILE).write_text(chat.text, encoding="utf-8")
    return trained


def _in_one_order(config: Path) -> None:
    """PEFT writes the target modules in the order of a set, which is another in each process."""
    if config.exists():  # not in a process beside the first
        content = json.loads(config.read_text(encoding="utf-8"))
        if isinstance(content.get("target_modules"), list):
            content["target_modules"].sort()
        config.write_text(json.dumps(content, indent=2, sort_keys=True), encoding="utf-8")


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


@contextlib.contextmanager
def _adapted(base: BaseModel, lora: LoraSettings, seed: int) -> Iterator[Any]:
    """The base with fresh PEFT layers in it, their A drawn from `seed`; the bare base after."""
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=_whole(lora.alpha),
        lora_dropout=lora.dropout,
        target_modules=_target_modules(lora),
        use_rslora=lora.rslora,
        revision=base.revision,
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
    try:
        yield adapted
    finally:
        adapted.unload()
        # Trainer leaves its mode behind, and PEFT its notes on the base.
        base.model.eval().requires_grad_(False)
        if hasattr(base.model, "peft_config"):
            del base.model.peft_config


def _trainer(
    adapted: Any,
    arguments: transformers.TrainingArguments,
    examples: Sequence[Example],
    progress: Progress | None,
) -> AnswerTrainer:
    try:
        return AnswerTrainer(adapted, arguments, examples, progress)
    except (ImportError, RuntimeError, ValueError) as error:
        if not arguments.report_to:
            raise
        names = ", ".join(arguments.report_to)
        raise MissingExtra(
            f"the Trainer cannot report to {names}: {str(error).splitlines()[0]}",
            hint=f"Install what it needs, such as: pip install {names}",
        ) from error


def _check_finite(adapted: Any) -> None:
    """The last step's update is in no loss any more."""
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad and not bool(parameter.isfinite().all()):
            raise BadInput(
                f"the training diverged: `{name}` holds NaN or infinity",
                hint="Nothing was written. Try a lower learning rate, or warm-up steps.",
            )


def _target_modules(lora: LoraSettings) -> Any:
    """The targets as PEFT takes them; none for its own choice."""
    return ALL_LINEAR if lora.targets == (ALL_LINEAR,) else list(lora.targets) or None


def _whole(alpha: float) -> Any:
    """64 for 64.0, as PEFT's users write it."""
    return int(alpha) if float(alpha).is_integer() else alpha


def _arguments(
    training: TrainingSettings, seed: int, out: Path, *, on_cpu: bool
) -> transformers.TrainingArguments:
    check_trainer(training.trainer)
    report_to = training.trainer.get("report_to")
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
        # A loss curve is drawn where somebody asked for one.
        "logging_strategy": "no" if report_to in (None, "none", []) else "steps",
        "logging_steps": 1,
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


@contextlib.contextmanager
def _no_empty_folder(arguments: transformers.TrainingArguments) -> Iterator[None]:
    """The Trainer makes its checkpoint folder whether or not a checkpoint was asked for."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            Path(str(arguments.output_dir)).rmdir()
