"""One domain's adapter, trained on questions and answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.training.settings import LoraSettings, TrainingSettings, checked
from superpose.verbs.base import Base, loaded_base
from superpose.verbs.kept_statistics import keep_statistics
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress
from superpose.verbs.prompts import asked_in, prompt_of
from superpose.verbs.questions import Data, Source, encoded, read_one_domain
from superpose.verbs.settings import Questions, held
from superpose.verbs.told import size

if TYPE_CHECKING:
    from superpose.training.train import Trained

__all__ = ["TrainingQuestions", "train"]


@dataclass(frozen=True)
class TrainingQuestions(Questions):
    """Questions that an adapter is trained on."""

    seed: Annotated[int, "Start of A, order of rows, dropout."] = 0


@typed
def train(
    base: Base,
    data: Source | Data,
    out: str | Path,
    lora: LoraSettings = LoraSettings(),
    training: TrainingSettings = TrainingSettings(),
    questions: TrainingQuestions = TrainingQuestions(),
    *,
    dtype: str = "float32",
    device: str = "auto",
    resume: str | Path | None = None,
    statistics: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Train a LoRA adapter on questions and answers, and write it to `out` as a PEFT folder.

    base: a name, or a loaded base model, which is left as it was. data: a question file, a hub data
    set, or rows in memory; of several the rows are merged. dtype, device: of a base by its name, as
    `load_base` has them; the Trainer works on the first GPU alone. resume: a checkpoint folder of
    the Trainer to go on from. statistics: keep beside the adapter what the rows send into its
    target modules, as `superpose.input_statistics` does: `superpose add --method regmean` reads it,
    and whoever has the folder can tell which domains are alike. force: replace an adapter at `out`.
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
    _check_first(device)
    read = read_one_domain(data, questions)
    model = loaded_base(base, dtype, device)
    rows = [row for domain in read for row in domain.rows]
    prompt = prompt_of(model, questions.max_tokens, questions.template, rows)
    asked_in(prompt, {domain.name: domain.rows for domain in read})
    asked = prompt.to_json({"rows": rows})
    name = ", ".join(domain.source or domain.name for domain in read)
    examples = encoded(name, rows, prompt, questions.rows, questions.seed)
    found = trainer.train(
        model,
        examples,
        out,
        lora=lora,
        training=training,
        seed=questions.seed,
        prompt=asked,
        chat=prompt.chat if asked["chat_template"] else None,
        force=force,
        resume=resume,
        progress=_steps(progress, f"train {out}"),
    )
    if statistics and trainer.is_first_process():
        written = keep_statistics(model, examples, Path(out), questions.seed, progress)
        note("note", f"wrote {written}: {size(written.stat().st_size)}")
    return found


def _steps(progress: Progress | None, what: str) -> Callable[[int, int, float | None], None] | None:
    if progress is None:
        return None
    tell = progress
    return lambda at, of, loss: tell(at, of, what if loss is None else f"{what} (loss {loss:.3f})")


def _check_first(device: str) -> None:
    """Raise BadSetting for a device that is not the first of its kind, where the Trainer works."""
    from superpose.model.device import index_of

    if (number := index_of(device)) and device.startswith("cuda"):
        raise BadSetting(
            f"transformers' Trainer works on the first GPU that it sees, and not on {device!r}",
            where="device",
            hint=f"Let it see no other one: CUDA_VISIBLE_DEVICES={number}",
        )
