"""What a result shows, for the terminal. Figures are never cut: names give way, see `layout`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from superpose.cli.folding import wrapped
from superpose.cli.layout import fits_whole, laid_out, numbers_of, with_numbers
from superpose.cli.text import one_line
from superpose.shown import Fact, Facts, Heat, Line, Part, Table
from superpose.shown.words import ascii_minus, joined

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["show"]

NAMED = 16
"""Columns that the name of a fact takes."""


def show(parts: Iterable[Part], console: Console) -> None:
    """Print what a result shows, in the columns of the console.

    Where nobody says how wide the reader is (`console.soft_wrap`) no sentence is broken.
    """
    room = 1_000_000 if console.soft_wrap else console.width
    for part in _with_numbers(parts, console.width):
        if isinstance(part, Line):
            _say(part, console, room)
        elif isinstance(part, Facts):
            for fact in part.facts:
                _print(Text(_fact(fact, room)), console)
        elif isinstance(part, Table):
            _print(Text(wrapped(one_line(part.title), room), style="bold"), console)
            for at, table in enumerate(laid_out(part, console.width)):
                console.print(*([""] if at else []), table)
            remark = wrapped(one_line(part.remark), room)
            console.print(Text(remark), end="\n\n" if remark else "\n", soft_wrap=True)


def _with_numbers(parts: Iterable[Part], room: int) -> Iterator[Part]:
    """Give parts with the adapters of sums numbered, said once, where a table lacks the room."""
    found = (part.listed if isinstance(part, Heat) else part for part in parts)
    listed = [part for part in found if part is not None]
    tables = [part for part in listed if isinstance(part, Table) and numbers_of([part])]
    numbers = numbers_of(tables)
    if all(fits_whole(table, room) for table in tables):
        yield from listed
        return
    said = False
    for part in listed:
        if isinstance(part, Table) and numbers_of([part]):
            if not said and not _says_all(part, numbers):
                each = joined(f"{at} {name}" for name, at in numbers.items())
                yield Line(f"{each}.", "Adapters:")
            said = True
            yield with_numbers(part, numbers)
        else:
            yield part


def _says_all(table: Table, numbers: dict[str, int]) -> bool:
    """Say whether a table names every adapter alone, and so says its number."""
    alone = {cell.names[0] for row in table.rows for cell in row if len(cell.names) == 1}
    return alone == set(numbers)


def _fact(fact: Fact, room: int) -> str:
    """Give a fact behind its name. Not in a table: it would cut a long path."""
    said = one_line(fact.here or fact.text)
    if room < 2 * NAMED:
        return wrapped(f"{fact.name}: {said}", room, 2)
    if not fact.here:
        said = wrapped(said, room - NAMED).replace("\n", "\n" + " " * NAMED)
    return f"{fact.name:{NAMED}}{said}"


def _say(line: Line, console: Console, room: int) -> None:
    strong, text = (ascii_minus(one_line(part)) for part in (line.strong, line.text))
    said = " ".join(filter(None, (strong, text)))
    whole = (text,) if line.whole else line.commands
    if Text(said).cell_len <= room:
        broken = said
    elif not whole:
        broken = wrapped(said, room)
    else:
        broken = "\n".join(_apart(said, tuple(map(one_line, whole)), room))
    shown = Text(broken)
    shown.stylize("bold", 0, len(strong))
    _print(shown, console)


def _apart(said: str, commands: tuple[str, ...], room: int) -> Iterator[str]:
    """Give a sentence's lines; each command in it is one of its own, to be pasted."""
    for command in commands:
        before, _, said = said.partition(command)
        if before.strip("; "):
            yield wrapped(before.strip("; "), room)
        yield f"  {command}"
    if said.strip("; "):
        yield wrapped(said.strip("; "), room)


def _print(text: Text, console: Console) -> None:
    """Print lines that are broken already; a path too long for the terminal is broken by it."""
    console.print(text, soft_wrap=True)
