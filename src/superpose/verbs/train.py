"""One domain's adapter, trained on questions and answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from superpose.errors import BadSetting
from superpose.files.file_format import INPUT_STATISTICS
from superpose.training.settings import LoraSettings, TrainingSettings, checked
from superpose.verbs.base import Base, loaded_base
from superpose.verbs.input_statistics import DIRECTIONS
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.questions import Data, Source, encoded, prompt_of, read_one_domain
from superpose.verbs.settings import Questions, held
from superpose.verbs.told import size

if TYPE_CHECKING:
    from superpose.data.prompt import Example
    from superpose.model import BaseModel
    from superpose.training.train import Trained

__all__ = ["TrainingQuestions", "train"]

MOST_ROWS = 256
"""Rows that statistics are made from: more of one domain change nothing."""


@dataclass(frozen=True)
class TrainingQuestions(Questions):
    """Questions that an adapter is trained on."""

    seed: Annotated[int, "Start of A, order of rows, dropout."] = 0


def train(
    base: Base,
    data: Source | Data,
    out: str | Path,
    lora: LoraSettings = LoraSettings(),
    training: TrainingSettings = TrainingSettings(),
    questions: TrainingQuestions = TrainingQuestions(),
    *,
    dtype: str = "float32",
    resume: str | Path | None = None,
    statistics: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Train a LoRA adapter on questions and answers, and write it to `out` as a PEFT folder.

    base: a name, or a loaded base model, which is left as it was. data: a question file, a hub data
    set, or rows in memory; of several the rows are merged. resume: a checkpoint folder of the
    Trainer to go on from. statistics: keep beside the adapter what the rows send into its target
    modules, as `superpose.input_statistics` does: `superpose add --method regmean` reads it, and
    whoever has the folder can tell which domains are alike. force: replace an adapter at `out`.
    progress: called with optimiser steps done, how many there are, and what is done, with the loss.

    Raises BadSetting for a setting that cannot be used, OutputExists where `out` stands, and what
    reading, loading and training raise.
    """
    from superpose.files import check_free
    from superpose.training import train as trainer

    # Everything that can be wrong is looked at before the minutes that loading takes.
    held(lora, LoraSettings, "lora")
    held(training, TrainingSettings, "training")
    held(questions, Questions, "questions")
    lora, training = checked(lora), checked(training)
    check_free(out, force=force, replaceable=trainer.FILES)
    if resume is not None and not (Path(resume) / "trainer_state.json").is_file():
        raise BadSetting(f"{str(resume)!r} is no checkpoint of the Trainer", where="resume")
    read = read_one_domain(data, questions)
    model = loaded_base(base, dtype)
    prompt = prompt_of(model.tokenizer, questions.max_tokens, questions.template)
    rows = [row for domain in read for row in domain.rows]
    name = ", ".join(domain.source or domain.name for domain in read)
    examples = encoded(name, rows, prompt, questions.rows, questions.seed)
    found = trainer.train(
        model,
        examples,
        out,
        lora=lora,
        training=training,
        seed=questions.seed,
        force=force,
        resume=resume,
        progress=_steps(progress, f"train {out}"),
    )
    if statistics and trainer.is_first_process():
        _keep_statistics(model, examples, Path(out), questions.seed, progress)
    return found


def _keep_statistics(
    base: BaseModel, examples: Sequence[Example], out: Path, seed: int, progress: Progress | None
) -> None:
    """Write what the bare base's target modules see on the rows, and say what it takes."""
    from superpose.files import new_file
    from superpose.formats import load
    from superpose.measure.inputs import measure_inputs

    adapter = load(out)
    rows = random.Random(seed).sample(list(examples), min(MOST_ROWS, len(examples)))
    advance = advancing(progress, "statistics", len(rows))
    found = measure_inputs(
        base.model, adapter.modules, rows, base_model=base.name, progress=advance
    )
    distinct = {id(moment): moment for moment in found.values()}.values()
    numbers = 16 * sum(sum(delta.shape) for delta in adapter.values())
    # Directions in float16, where the adapter is in float32.
    directions = 2 * numbers // sum(moment.size for moment in distinct)
    with new_file(out / INPUT_STATISTICS) as part:
        found.sketched(max(1, min(DIRECTIONS, directions))).save(part)
    written = size((out / INPUT_STATISTICS).stat().st_size)
    note("note", f"wrote {out / INPUT_STATISTICS}: {written}, from {len(rows)} rows")


def _steps(progress: Progress | None, what: str) -> Callable[[int, int, float | None], None] | None:
    if progress is None:
        return None
    tell = progress
    return lambda at, of, loss: tell(at, of, what if loss is None else f"{what} (loss {loss:.3f})")
