"""What the commands that run a model share: settings from options, bars, names for data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from superpose.cli.console import err, progress
from superpose.errors import BadInput
from superpose.study.reporter import Reporter

__all__ = ["StudyBars", "domain_names", "settings_of", "trainer_settings", "training_bar"]

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


def domain_names(sources: Sequence[str]) -> dict[str, str]:
    """Domain name -> source: a file's name without its ending, told apart where two agree."""
    names: dict[str, str] = {}
    for source in sources:
        name = Path(source).name.removesuffix(".jsonl") or source
        names[source if name in names else name] = source
    return names


@contextmanager
def training_bar(
    title: str, *, quiet: bool = False
) -> Iterator[Callable[[int, int, float | None], None]]:
    """A bar over optimiser steps, with the loss; give what it yields to `train`."""
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
