"""`superpose train`: one domain's adapter."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["train"]


def train(
    base: Annotated[str, typer.Argument(help="smollm2, a transformers folder, or a hub name.")],
    data: Annotated[
        list[str],
        typer.Argument(help="Question files (.jsonl) or hub data sets; several are merged data."),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for the adapter.")],
    rank: Annotated[int, typer.Option(help="Rank r of every target module.")] = 4,
    alpha: Annotated[float, typer.Option(help="lora_alpha; the scaling is alpha / rank.")] = 64,
    dropout: Annotated[float, typer.Option(help="Dropout on the adapter's input.")] = 0.1,
    targets: Annotated[
        str, typer.Option(help="Target modules: q_proj,v_proj. Default: PEFT's choice.")
    ] = "",
    rslora: Annotated[bool, typer.Option("--rslora", help="Scaling alpha / sqrt(rank).")] = False,
    epochs: Annotated[float, typer.Option(help="Passes over the rows.")] = 1,
    learning_rate: Annotated[float, typer.Option("--learning-rate", "--lr")] = 3e-4,
    batch_size: Annotated[int, typer.Option(help="Rows a step.")] = 8,
    scheduler: Annotated[str, typer.Option(help="Learning-rate schedule of transformers.")] = (
        "linear"
    ),
    warmup: Annotated[float, typer.Option(help="Warm-up steps, or below 1 a share.")] = 0,
    weight_decay: Annotated[float, typer.Option()] = 0,
    max_tokens: Annotated[int, typer.Option(help="Longest question and answer.")] = 128,
    rows: Annotated[int | None, typer.Option(help="Train on so many rows, drawn by seed.")] = None,
    question: Annotated[str, typer.Option(help="Column of the question.")] = "question",
    answer: Annotated[str, typer.Option(help="Column of the answer.")] = "answer",
    trainer: Annotated[
        list[str] | None,
        typer.Option(help="Any TrainingArguments: --trainer report_to=wandb; repeatable."),
    ] = None,
    resume: Annotated[str | None, typer.Option(help="Checkpoint folder to go on from.")] = None,
    seed: Annotated[int, typer.Option(help="Start of A, order of rows, dropout.")] = 0,
    dtype: Annotated[str, typer.Option(help="The base's weights in memory.")] = "float32",
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Train one adapter on questions and answers, on transformers' Trainer.

    Only the answers' tokens count in the loss. A row is {"question": ..., "answer": ...}.
    The defaults are the paper's: rank 4, alpha 64. Several processes: accelerate launch -m
    superpose train ...

    \b
    Example:
      superpose train smollm2 math.jsonl -o math --targets q_proj,k_proj,v_proj,o_proj
    """
    from dataclasses import asdict

    from superpose.cli.console import err, print_json
    from superpose.cli.running import settings_of, trainer_settings, training_bar
    from superpose.files import check_free
    from superpose.landscape import load_base
    from superpose.study.domain import read_rows, sample_rows
    from superpose.study.prompt import Prompt
    from superpose.study.settings import LoraSettings, TrainingSettings
    from superpose.study.train import FILES, is_first_process, train as run_training

    # Everything that can be wrong is looked at before the minutes that loading takes.
    check_free(out, force=force, replaceable=FILES)
    names = tuple(filter(None, (name.strip() for name in targets.split(","))))
    lora = settings_of(
        LoraSettings, rank=rank, alpha=alpha, dropout=dropout, targets=names, rslora=rslora
    )
    training = settings_of(
        TrainingSettings,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        scheduler=scheduler,
        warmup_steps=warmup,
        weight_decay=weight_decay,
        trainer=trainer_settings(trainer or []),
    )
    read = [row for d in data for row in read_rows(d, question=question, answer=answer)]
    loaded = load_base(base, dtype=dtype)
    prompt = Prompt(loaded.tokenizer, max_tokens=max_tokens)
    fitting = prompt.fitting(read)
    if len(fitting) < len(read):
        err().print(
            f"{len(read) - len(fitting)} of {len(read)} rows left out: the question leaves the "
            f"answer no room within {max_tokens} tokens"
        )
    chosen = sample_rows(fitting, rows, seed=seed, where=", ".join(data))
    with training_bar(f"train {out}", quiet=quiet or not is_first_process()) as step:
        trained = run_training(
            loaded,
            prompt.encode_all(chosen),
            out,
            lora=lora,
            training=training,
            seed=seed,
            force=force,
            resume=resume,
            progress=step,
        )
    if not is_first_process():
        return
    if as_json:
        print_json(asdict(trained))
    err().print(
        f"{out}: {trained.rows} rows, {trained.steps} steps, loss {trained.losses[0]:.3f} -> "
        f"{trained.losses[-1]:.3f}, {trained.seconds:.0f} s "
        f"({trained.tokens / trained.seconds:.0f} tokens/s)",
        markup=False,
    )
