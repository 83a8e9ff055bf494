"""What a domain's inputs to a base model's layers look like, to merge by regression with."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.files.file_format import INPUT_STATISTICS
from superpose.verbs.base import Base, loaded_base
from superpose.verbs.progress import Progress, advancing
from superpose.verbs.prompts import asked_in, prompt_of
from superpose.verbs.questions import Data, Source, encoded, read_one_domain
from superpose.verbs.settings import Questions, held
from superpose.verbs.told import Told, size

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.data.input_statistics import InputStatistics
    from superpose.data.prompt import Example
    from superpose.model import BaseModel

DIRECTIONS = 48
"""Kept of each input: they take no more room than an adapter of rank 16."""

MOST_ROWS = 256
"""Rows that statistics are made from when training: more of one domain change nothing."""

__all__ = [
    "InputQuestions",
    "MeasuredInputs",
    "input_statistics",
    "keep_statistics",
    "statistics_beside",
]


@dataclass(frozen=True)
class InputQuestions(Questions):
    """Questions whose way through the base model is measured; their answers need not be right."""

    rows: Annotated[int | None, "So many rows, drawn by seed."] = 64


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
    directions: int = DIRECTIONS,
    dtype: str = "float32",
    device: str = "auto",
    force: bool = False,
    progress: Progress | None = None,
) -> MeasuredInputs:
    """Measure the second moments of what a domain's rows send into a base model's linear layers.

    base: a name, or a loaded base model; no adapter is needed. data: a question file, a hub data
    set or rows in memory; of several the rows are one domain's. out: a file, or the folder of the
    domain's adapter, where `superpose add --method regmean` finds them. directions: kept of each
    input, and of the others their mean; 48 take no more room than an adapter of rank 16. dtype,
    device: of a base by its name, as `load_base` has them. force: replace the file. progress:
    called with rows done, how many there are, and what is done.

    Raises BadSetting for directions below 1, OutputExists where the file stands, and what reading
    and loading raise.
    """
    held(questions, Questions, "questions")
    held(directions, int, "directions")
    if directions < 1:
        raise BadSetting(f"{directions} is below 1", where="directions")
    from superpose.files import check_free_file, new_file
    from superpose.measure.inputs import linear_layers, measure_inputs

    path = None if out is None else Path(out)
    path = path / INPUT_STATISTICS if path is not None and path.is_dir() else path
    if path is not None:
        check_free_file(path, force=force)
    read = read_one_domain(data, questions)
    model = loaded_base(base, dtype, device)
    name = ", ".join(domain.name for domain in read)
    rows = [row for domain in read for row in domain.rows]
    prompt = prompt_of(model, questions.max_tokens, questions.template, rows)
    asked_in(prompt, {domain.name: domain.rows for domain in read})
    examples = encoded(name, rows, prompt, questions.rows, questions.seed)
    found = measure_inputs(
        model.model,
        linear_layers(model.model),
        examples,
        base_model=model.name,
        directions=directions,
        progress=advancing(progress, "statistics", len(examples)),
    ).sketched(directions)
    if path is not None:
        with new_file(path) as part:
            found.save(part)
    return MeasuredInputs(found, path, path.stat().st_size if path else 0)


def keep_statistics(
    base: BaseModel,
    examples: Sequence[Example],
    adapter: Path,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write beside an adapter what rows send into its modules in the bare base; give the file.

    As many directions as fit into the room of an adapter of rank 16 in float32, at most DIRECTIONS.
    seed: draws MOST_ROWS of more rows.
    """
    from superpose.files import new_file
    from superpose.formats import load
    from superpose.measure.inputs import measure_inputs

    parts = load(adapter)
    rows = random.Random(seed).sample(list(examples), min(MOST_ROWS, len(examples)))
    advance = advancing(progress, "statistics", len(rows))
    found = measure_inputs(base.model, parts.modules, rows, base_model=base.name, progress=advance)
    distinct = {id(moment): moment for moment in found.values()}.values()
    numbers = 16 * sum(sum(delta.shape) for delta in parts.values())
    # A direction's number takes two bytes, an adapter's four.
    directions = 2 * numbers // sum(moment.size for moment in distinct)
    with new_file(adapter / INPUT_STATISTICS) as part:
        found.sketched(max(1, min(DIRECTIONS, directions))).save(part)
    return adapter / INPUT_STATISTICS


def statistics_beside(adapter: Adapter, method: str) -> InputStatistics:
    """Read what lies beside an adapter that was loaded from a folder here. method: that needs it.

    Raises BadSetting where there is none, BadInput for a damaged file.
    """
    from superpose.data.input_statistics import InputStatistics

    folder = None if adapter.path is None else Path(adapter.path)
    folder = folder.parent if folder is not None and folder.is_file() else folder
    if folder is None or not (folder / INPUT_STATISTICS).is_file():
        raise BadSetting(
            f"`{method}` needs statistics of each adapter's domain, and beside {adapter.label} "
            f"lies no {INPUT_STATISTICS}",
            where="data",
            hint="Give rows of each adapter's domain, in the adapters' order: --data ROWS.jsonl, "
            "and --base BASE where the adapters name none. Or make the statistics once, which "
            "needs no base model afterwards: superpose statistics BASE ROWS.jsonl -o ADAPTER.",
        )
    return InputStatistics.load(folder)
