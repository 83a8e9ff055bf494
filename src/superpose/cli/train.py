"""`superpose train`: one domain's adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.options import (
    AnswerColumn,
    Base,
    Dtype,
    Json,
    MaxTokens,
    QuestionColumn,
    Quiet,
    Rows,
    Template,
)

if TYPE_CHECKING:
    from superpose.training.train import Trained

__all__ = ["train"]


def train(
    base: Base,
    data: Annotated[
        list[str],
        typer.Argument(help="Question files (.jsonl) or hub data sets; several are merged data."),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for the adapter.")],
    rank: Annotated[int, typer.Option(help="Rank r of every target module.")] = 4,
    alpha: Annotated[float, typer.Option(help="lora_alpha; the scaling is alpha / rank.")] = 64,
    dropout: Annotated[float, typer.Option(help="Dropout on the adapter's input.")] = 0.1,
    targets: Annotated[str, typer.Option(help="q_proj,v_proj ...; default: PEFT's choice.")] = "",
    rslora: Annotated[bool, typer.Option("--rslora", help="Scaling alpha / sqrt(rank).")] = False,
    epochs: Annotated[float, typer.Option(help="Passes over the rows.")] = 1,
    learning_rate: Annotated[float, typer.Option("--learning-rate", "--lr")] = 3e-4,
    batch_size: Annotated[int, typer.Option(help="Rows a step and process.")] = 8,
    max_tokens: MaxTokens = 128,
    template: Template = "",
    rows: Rows = None,
    question: QuestionColumn = "question",
    answer: AnswerColumn = "answer",
    trainer: Annotated[
        list[str] | None,
        typer.Option(
            help="Any of transformers' TrainingArguments, repeatable: --trainer report_to=wandb "
            "--trainer lr_scheduler_type=cosine --trainer warmup_steps=0.1."
        ),
    ] = None,
    resume: Annotated[str | None, typer.Option(help="Checkpoint folder to go on from.")] = None,
    seed: Annotated[int, typer.Option(help="Start of A, order of rows, dropout.")] = 0,
    dtype: Dtype = "float32",
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train one adapter on questions and answers, on transformers' Trainer.

    Only the answers' tokens count in the loss. A row is {"question": ..., "answer": ...}.
    The defaults are the paper's: rank 4, alpha 64. Several processes: accelerate launch -m
    superpose train ... Checkpoints: --trainer save_strategy=epoch, in OUT.checkpoints.

    \b
    Example:
      superpose train smollm2 math.jsonl -o math --targets q_proj,k_proj,v_proj,o_proj
    """
    from superpose.cli import running
    from superpose.files import check_free
    from superpose.model import load_base
    from superpose.training import train as training
    from superpose.training.settings import LoraSettings, TrainingSettings

    # Everything that can be wrong is looked at before the minutes that loading takes.
    check_free(out, force=force, replaceable=training.FILES)
    lora = running.settings_of(
        LoraSettings, rank=rank, alpha=alpha, dropout=dropout, rslora=rslora,
        targets=tuple(filter(None, map(str.strip, targets.split(",")))),
    )  # fmt: skip
    settings = running.settings_of(
        TrainingSettings, epochs=epochs, learning_rate=learning_rate, batch_size=batch_size,
        trainer=running.trainer_settings(trainer or []),
    )  # fmt: skip
    read = running.read_all(data, question, answer)
    loaded = load_base(base, dtype=dtype)
    prompt = running.prompt_of(loaded, max_tokens, template)
    examples = running.encoded(", ".join(data), read, prompt, rows, seed)
    with running.training_bar(out, quiet=quiet or not training.is_first_process()) as step:
        trained = training.train(
            loaded, examples, out, lora=lora, training=settings, seed=seed, force=force,
            resume=resume, progress=step,
        )  # fmt: skip
    if training.is_first_process():
        _print(trained, json)


def _print(trained: Trained, as_json: bool) -> None:
    from dataclasses import asdict

    from superpose.cli.console import err, print_json

    if as_json:
        print_json(asdict(trained))
    losses = trained.losses
    change = f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, " if losses else ""
    err().print(
        f"{trained.path}: {trained.rows} rows, {trained.steps} steps, {change}"
        f"{trained.seconds:.0f} s ({trained.tokens / trained.seconds:.0f} tokens/s)",
        markup=False,
    )
