"""What the commands that run a model share: settings from options, bars, names for data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from superpose.cli.console import err, note, progress
from superpose.errors import BadInput
from superpose.training.reporter import Reporter

if TYPE_CHECKING:
    from superpose.data.domain import Row
    from superpose.data.prompt import Example, Prompt
    from superpose.model import BaseModel

__all__ = [
    "StudyBars",
    "encoded",
    "prompt_of",
    "read_all",
    "settings_of",
    "trainer_settings",
    "training_bar",
]

T = TypeVar("T")


def settings_of(kind: type[T], **values: Any) -> T:
    """Make a settings object; what pydantic finds wrong becomes BadInput naming the option."""
    import pydantic

    try:
        return kind(**values)
    except pydantic.ValidationError as error:
        found = error.errors()[0]
        option = "--" + str(found["loc"][0]).replace("_", "-")
        raise BadInput(found["msg"], where=option) from None


def trainer_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` options for TrainingArguments; values are YAML (numbers, true, lists)."""
    import yaml

    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadInput(f"`{pair}` is not KEY=VALUE", where="--trainer")
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            settings[key] = value
    return settings


def read_all(sources: Sequence[str], question: str, answer: str) -> list[Row]:
    """The rows of several sources, one after another."""
    from superpose.data.domain import read_rows

    return [row for s in sources for row in read_rows(s, question=question, answer=answer)]


def prompt_of(base: BaseModel, max_tokens: int | None, template: str) -> Prompt:
    """How rows become tokens; an empty template means the default one."""
    from superpose.data.prompt import DEFAULT_TEMPLATE, Prompt

    return Prompt(base.tokenizer, max_tokens=max_tokens, template=template or DEFAULT_TEMPLATE)


def encoded(
    name: str, rows: Sequence[Row], prompt: Prompt, count: int | None, seed: int
) -> list[Example]:
    """So many rows as tokens, drawn by seed; says how many do not fit, or are cut."""
    from superpose.data.domain import sample_rows

    fitting = prompt.fitting(rows)
    examples = prompt.encode_all(sample_rows(fitting, count, seed=seed, where=name), name)
    limit = f"at {prompt.max_tokens} tokens"
    if left_out := len(rows) - len(fitting):
        note("note", f"{name}: {left_out} of {len(rows)} rows left no room for an answer {limit}")
    if cut := sum(example.cut for example in examples):
        note("note", f"{name}: {cut} of {len(examples)} answers are cut {limit}")
    return examples


@contextmanager
def training_bar(
    out: str, *, quiet: bool = False
) -> Iterator[Callable[[int, int, float | None], None]]:
    """A bar over optimiser steps, with the loss; give what it yields to `train`."""
    title = f"train {out}"
    with progress(quiet=quiet) as bars:
        task = bars.add_task(title, total=None)

        def step(at: int, of: int, loss: float | None) -> None:
            said = title if loss is None else f"{title} (loss {loss:.3f})"
            bars.update(task, completed=at, total=of, description=said)

        yield step


class StudyBars(Reporter):
    """One bar for a whole study with its time left, and a line for each finished activity."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bars = progress(quiet=quiet, percent=True)
        self.task: Any = None

    def __enter__(self) -> StudyBars:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def plan(self, total: float, left: float, cells: int) -> None:
        """Show the whole: `total` work in `cells` cells, of which `left` is to be done."""
        self.task = self.bars.add_task("preparing", total=total)
        self.bars.advance(self.task, total - left)

    def start(self, activity: str) -> None:
        """Show what is being done."""
        if self.task is not None:
            self.bars.update(self.task, description=activity)

    def advance(self, work: float) -> None:
        """Move the bar on."""
        if self.task is not None:
            self.bars.advance(self.task, work)

    def finish(self, activity: str, seconds: float) -> None:
        """Say in a line what is done and lies on disk."""
        if not self.quiet:
            err().print(f"{activity}: {seconds:.0f} s", markup=False)
