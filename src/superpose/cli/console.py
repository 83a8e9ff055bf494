"""What every command prints with: two lazy consoles, JSON, notes and a progress bar.

Standard output carries the answer alone; notes, warnings, errors and progress go to standard error.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from superpose.cli.streams import is_utf8
from superpose.cli.text import in_json, one_line, visible_in_terminal
from superpose.errors import BadSetting

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from superpose.shown import Part

__all__ = [
    "SCHEMA",
    "answer",
    "as_csv",
    "bars",
    "err",
    "hush",
    "note",
    "one_line",
    "out",
    "print_json",
    "progress",
    "say",
    "visible_in_terminal",
]

# What a table may take where nobody tells how wide the reader is: a pipe, a file, a CI log.
UNKNOWN_WIDTH = 120

# A terminal that says it has no columns has these; tables are drawn for no fewer than the second,
# nor is a bar, which redraws its one line.
USUAL_WIDTH, LEAST_WIDTH = 80, 20


_HUSHED: ContextVar[bool] = ContextVar("hushed", default=False)
_CSV: ContextVar[bool] = ContextVar("csv", default=False)


class Result(Protocol):
    """What a verb gives."""

    def shown(self) -> Iterable[Part]:
        """Give what it shows, one part below the other."""
        ...

    def to_json(self) -> object:
        """Give it as dicts, lists, strings, numbers, booleans and None."""
        ...


@functools.cache
def out() -> Console:
    """The console on standard output, made when first asked for (rich costs 0.05 s)."""
    return _console(to_stderr=False)


@functools.cache
def err() -> Console:
    """The console on standard error, made when first asked for."""
    return _console(to_stderr=True)


def hush(quiet: bool) -> bool:
    """Let no note be printed from here on, where that is asked for; errors and warnings are."""
    _HUSHED.set(quiet)
    return quiet


def note(kind: str, message: object) -> None:
    """`kind: message` on standard error, kept free of markup and of line wrapping.

    kind: "error", "warning" or "note". message: may hold any character a file name may; those that
    control a terminal are shown as escapes, save line breaks. A "note" is dropped after `hush`.
    """
    if kind == "note" and _HUSHED.get():
        return
    with suppress(OSError):  # where standard error takes nothing, nobody can be told so
        print(f"{kind}: {visible_in_terminal(message)}", file=sys.stderr, flush=True)  # noqa: T201


def say(text: object) -> None:
    """A line on standard error beside the answer: where something lies, what comes next."""
    err().print(one_line(text), markup=False)


SCHEMA = 1
"""The version of all that --json prints: it grows where a name in it goes or changes its meaning.

A name that is added changes nothing for whoever reads the others.
"""


def print_json(value: object) -> None:
    """`value` as JSON on standard output, alone there; a figure that does not exist is null.

    An object begins with `schema`. value: of dicts, lists, tuples, strings, numbers, booleans and
    None; lists of an object may come one by one, as iterators. NaN becomes null because JSON has no
    word for it, and infinity as well. Where standard output is not UTF-8, characters beyond ASCII
    are JSON's escapes.
    """
    from superpose.files import without_nan  # NumPy comes with it

    ascii_only = not is_utf8(sys.stdout)
    if isinstance(value, dict):
        value = {"schema": SCHEMA, **value}

    def text(part: object) -> str:
        found = json.dumps(without_nan(part), indent=2, ensure_ascii=ascii_only, allow_nan=False)
        return in_json(found)

    if isinstance(value, dict) and any(isinstance(part, Iterator) for part in value.values()):
        for piece in _in_pieces(value, text):
            print(piece, end="")  # noqa: T201
        print(flush=True)  # noqa: T201
    else:
        print(text(value), flush=True)  # noqa: T201


def _in_pieces(value: dict[str, object], text: Callable[[object], str]) -> Iterator[str]:
    """Give an object as `text` gives it, lists that come one by one in as many pieces."""

    def inside(part: object, depth: int) -> str:
        # A line break within a string is an escape.
        return text(part).replace("\n", "\n" + "  " * depth)

    yield "{"
    for n, (key, part) in enumerate(value.items()):
        yield f"{',' if n else ''}\n  {text(key)}: "
        if not isinstance(part, Iterator):
            yield inside(part, 1)
            continue
        count = 0
        for count, item in enumerate(part, 1):
            yield f"{'[' if count == 1 else ','}\n    {inside(item, 2)}"
        yield "\n  ]" if count else "[]"
    yield "\n}"


def as_csv(asked: bool) -> bool:
    """Let `answer` print the main table as CSV, where that is asked for."""
    _CSV.set(asked)
    return asked


def answer(found: Result, as_json: bool) -> None:
    """Print what a command found on standard output: what it shows, its JSON, or a table as CSV.

    Raises BadSetting for both at once, and for CSV of what holds no table.
    """
    if _CSV.get():
        if as_json:
            raise BadSetting("give one of the two", where="csv, json")
        _print_csv(found)
    elif as_json:
        print_json(_parts_of(found))
    else:
        from superpose.cli.show import show

        show(found.shown(), out())


def _parts_of(found: Any) -> Any:
    """Give what a result holds as JSON, what is long one by one where it has it so."""
    parts = getattr(found, "in_parts", None)
    return found.to_json() if parts is None else parts()


def _print_csv(found: Any) -> None:
    from superpose.files import without_nan
    from superpose.shown.csv_table import csv_of

    main = getattr(found, "TABLE", None)
    held: Any = {} if main is None else without_nan(_parts_of(found))
    if main is None or main.partition(".")[0] not in held:
        raise BadSetting("there is no table in this answer", where="csv")
    print(csv_of(held, main), end="", flush=True)  # noqa: T201


def progress(*, quiet: bool = False, percent: bool = False) -> Progress:
    """A progress display on standard error: task, bar, count, time elapsed and time left.

    quiet: show nothing; nothing is shown either where standard error is not a terminal.
    percent: per cent in place of the count, for work without a unit. Use it as a context manager
    and add tasks with `add_task(description, total=...)`.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    console = err()
    # What is done gives way, then the bar: a clock that is cut says nothing.
    bar = min(40, max(4, console.width - 70))
    words = Column(no_wrap=True, overflow="ellipsis", max_width=max(8, console.width - bar - 40))
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=words),
        BarColumn(bar_width=bar),
        TaskProgressColumn() if percent else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )


@contextmanager
def bars(
    *, quiet: bool = False, percent: bool = False
) -> Iterator[Callable[[float, float | None, str], None]]:
    """A bar for each thing that is being done; gives what a verb is told to tell with.

    One that is called otherwise and goes on from where it was is the same thing. percent: as for
    `progress`, which costs nothing before there is something to tell.
    """
    shown: Progress | None = None
    task: Any = None
    at = 0.0
    with ExitStack() as stack:

        def tell(done: float, total: float | None, what: str) -> None:
            nonlocal shown, task, at
            what = one_line(what)
            if shown is None:
                shown = stack.enter_context(progress(quiet=quiet, percent=percent))
            if task is None or done < at:
                task = shown.add_task(what, total=total)
            shown.update(task, completed=done, total=total, description=what)
            at = done

        yield tell


def _console(*, to_stderr: bool) -> Console:
    from rich.console import Console

    # What goes to standard error is prose and paths: a line is broken by the terminal, not by us.
    console = Console(stderr=to_stderr, soft_wrap=to_stderr, highlight=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").strip("0"):
        console.width = UNKNOWN_WIDTH
        console.soft_wrap = True  # and no sentence is broken
    if console.width < LEAST_WIDTH and not (to_stderr and console.is_terminal and console.width):
        console.width = LEAST_WIDTH if console.width else USUAL_WIDTH
    return console
