"""What a domain's inputs to a base model's layers look like, to merge by regression with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.files.file_format import INPUT_STATISTICS
from superpose.shown.words import counted
from superpose.verbs.base import Base, loaded_base
from superpose.verbs.kept_statistics import DIRECTIONS, adapter_in, fitting, modules_in
from superpose.verbs.notes import note
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.prompts import asked_in, prompt_of
from superpose.verbs.questions import Data, Source, encoded, read_one_domain
from superpose.verbs.settings import Questions, held
from superpose.verbs.told import Told, size

if TYPE_CHECKING:
    from superpose.data.input_statistics import InputStatistics

FEW = 16
"""Rows of a domain below which its statistics tell what they are about."""

_TOLD = "are few: whoever has the base model can tell many of their words from the file"

__all__ = ["InputQuestions", "MeasuredInputs", "input_statistics"]


@dataclass(frozen=True)
class InputQuestions(Questions):
    """Questions whose way through the base model is measured; answers need not be right, or be."""

    unanswered: ClassVar[bool] = True

    rows: Annotated[int | None, "So many rows, drawn by seed."] = 64
    answer: Annotated[str, "Column of the answer; empty to take questions alone."] = "answer"


@dataclass(frozen=True)
class MeasuredInputs(Told):
    """Input statistics, and where they were written.

    path: None where they were not. bytes: of the file.
    """

    statistics: InputStatistics
    path: Path | None
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """Give what `statistics --json` prints."""
        found = self.statistics
        return {
            "base": found.base_model,
            "module_count": len(found),
            "inputs": len({id(moment) for moment in found.values()}),
            "directions": max(len(moment.values) for moment in found.values()),
            "rows": found.rows,
            "tokens": found.tokens,
            "output": None if self.path is None else str(self.path),
            "bytes": self.bytes,
        }

    def __str__(self) -> str:
        said = self.to_json()
        where = "" if self.path is None else f"wrote {self.path}: "
        what = (
            f"{said['inputs']} inputs of {said['module_count']} modules, {said['directions']} "
            f"directions of each, from {said['rows']} rows ({said['tokens']:,} tokens)"
        )
        return f"{where}{what}" + (f"; {size(self.bytes)}" if self.bytes else "")


@typed
def input_statistics(
    base: Base,
    data: Source | Data,
    out: str | os.PathLike[str] | None = None,
    questions: InputQuestions = InputQuestions(),
    *,
    directions: int | None = None,
    dtype: str = "float32",
    device: str = "auto",
    force: bool = False,
    progress: Progress | None = None,
) -> MeasuredInputs:
    """Measure the second moments of what a domain's rows send into a base model's linear layers.

    base: a name, or a loaded base model; no adapter is needed. data: a question file, a hub data
    set or rows in memory; of several the rows are one domain's. out: a file, or the folder of the
    domain's adapter, where `superpose add --method regmean` finds them: then they are of its own
    modules, and else of all linear layers. directions: kept of each input, and of the others their
    mean; None is 48, or beside an adapter as many as it would have room for at rank 16. dtype,
    device: of a base by its name, as `load_base` has them. force: replace the file. progress:
    called with rows done, how many there are, and what is done.

    Raises BadSetting for directions below 1, OutputExists where the file stands, DifferentBase for
    an adapter whose modules the base does not have, and what reading and loading raise.
    """
    held(questions, Questions, "questions")
    if directions is not None:
        held(directions, int, "directions")
    if directions is not None and directions < 1:
        raise BadSetting(f"{directions} is below 1", where="directions")
    from superpose.files import check_free_file, new_file
    from superpose.measure.inputs import linear_layers, measure_inputs

    adapter = None if out is None else adapter_in(Path(out))
    path = None if out is None else _file_in(Path(out))
    if path is not None:
        check_free_file(path, force=force)
    read = read_one_domain(data, questions)
    model = loaded_base(base, dtype, device)
    name = ", ".join(domain.name for domain in read)
    rows = [row for domain in read for row in domain.rows]
    prompt = prompt_of(model, questions.max_tokens, questions.template, rows)
    asked_in(prompt, {domain.name: domain.rows for domain in read})
    examples = encoded(name, rows, prompt, questions.rows, questions.seed)
    if path is not None and len(examples) < FEW:
        note("note", f"{counted(len(examples), 'row')} {_TOLD}")
    found = measure_inputs(
        model.model,
        linear_layers(model.model) if adapter is None else modules_in(model, adapter),
        examples,
        base_model=model.name,
        directions=directions or DIRECTIONS,
        all_of_them=adapter is not None,
        progress=advancing(progress, "statistics", len(examples)),
    )
    room = DIRECTIONS if adapter is None else fitting(adapter, found)
    found = found.sketched(directions or room)
    if path is not None:
        with new_file(path) as part:
            found.save(part)
    return MeasuredInputs(found, path, path.stat().st_size if path else 0)


def _file_in(out: Path) -> Path:
    return out / INPUT_STATISTICS if out.is_dir() else out
