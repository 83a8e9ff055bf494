"""`superpose train`: one domain's adapter."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.cli.loading import Device, Dtype
from superpose.cli.options import Base, Json, Quiet
from superpose.cli.unfold import unfolded
from superpose.training.settings import LoraSettings, TrainingSettings
from superpose.verbs.train import TrainingQuestions

__all__ = ["train"]


@unfolded
def train(
    *,
    base: Base,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="Question files or hub data sets; several are merged data.",
        ),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for the adapter.")],
    lora: LoraSettings,
    training: TrainingSettings,
    questions: TrainingQuestions,
    dtype: Dtype = "float32",
    device: Device = "auto",
    resume: Annotated[str | None, typer.Option(help="Checkpoint folder to go on from.")] = None,
    statistics: Annotated[
        bool,
        typer.Option(
            "--statistics",
            help="Keep beside the adapter what the rows send into its modules, for add --method "
            "regmean; it tells which words are frequent, and how alike domains are.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train one adapter on questions and answers, on transformers' Trainer.

    Only the answers' tokens count in the loss. A row is {"question": ..., "answer": ...}, or a
    conversation: {"messages": [...]}, or prompt and completion. Files end in .jsonl, .json, .csv or
    .tsv.
    The defaults are the paper's: rank 4, alpha 64. Several processes: accelerate launch -m
    superpose train ... Checkpoints: --trainer save_strategy=epoch, in OUT.checkpoints.

    \b
    Example:
      superpose train smollm2 math.jsonl -o math --targets q_proj,k_proj,v_proj,o_proj
    """
    from superpose.cli.console import bars, err, print_json
    from superpose.cli.show import show
    from superpose.cli.words_behind import check_data
    from superpose.training.train import is_first_process
    from superpose.verbs.train import train as train_on

    check_data(data, lora.targets)
    speaks = is_first_process()
    with bars(quiet=quiet or not speaks) as progress:
        found = train_on(
            base, data, out, lora, training, questions,
            dtype=dtype, device=device, resume=resume, statistics=statistics, force=force,
            progress=progress,
        )  # fmt: skip
    if speaks and json:
        print_json(found.to_json())
    if speaks:
        show(found.shown(), err())
