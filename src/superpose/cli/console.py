"""What every command prints with: two lazy consoles, JSON, notes and a progress bar.

Standard output carries the answer alone; notes, warnings, errors and progress go to standard error.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["err", "note", "out", "plain", "print_json", "progress"]

# What a table may take where nobody tells how wide the reader is: a pipe, a file, a CI log.
UNKNOWN_WIDTH = 120


@functools.cache
def out() -> Console:
    """The console on standard output, made when first asked for (rich costs 0.05 s)."""
    return _console(to_stderr=False)


@functools.cache
def err() -> Console:
    """The console on standard error, made when first asked for."""
    return _console(to_stderr=True)


def note(kind: str, message: object) -> None:
    """One line on standard error, `kind: message`, kept free of markup and of line wrapping.

    kind: "error", "warning" or "note". message: may hold any character a file name may.
    """
    print(f"{kind}: {message}", file=sys.stderr, flush=True)  # noqa: T201


def plain(value: object) -> str:
    """Text for a table or a styled line: rich reads no markup into a name such as `[math]`."""
    from rich.markup import escape

    return escape(str(value))


def print_json(value: object) -> None:
    """`value` as JSON on standard output, alone there; a figure that does not exist is null.

    value: of dicts, lists, tuples, strings, numbers, booleans and None. NaN becomes null because
    JSON has no word for it, and infinity as well.
    """
    from superpose.files import without_nan  # NumPy comes with it

    text = json.dumps(without_nan(value), indent=2, ensure_ascii=False, allow_nan=False)
    print(text, flush=True)  # noqa: T201


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

    console = err()
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn() if percent else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )


def _console(*, to_stderr: bool) -> Console:
    from rich.console import Console

    # What goes to standard error is prose and paths: a line is broken by the terminal, not by us.
    console = Console(stderr=to_stderr, soft_wrap=to_stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNKNOWN_WIDTH
    return console
