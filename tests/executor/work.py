"""Tasks to be done by workers: they write what they are told, and say who did what."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from superpose.errors import BadInput
from superpose.executor import Do, Task, Workbench

__all__ = ["bench_of", "events", "tasks_of"]


def tasks_of(count: int, *, chain: bool = False) -> list[Task]:
    """Give tasks that each write their number; in a chain each waits for the one before it."""
    names = [f"out/{n}.txt" for n in range(count)]
    return [
        Task(f"task {n}", names[n], (n,), 1.0, (names[n - 1],) if chain and n else ())
        for n in range(count)
    ]


def bench_of(folder: Path, **how: object) -> Workbench:
    """Give the workbench that does them. how: `pause` seconds each; tasks that `kill` or `fail`."""
    return partial(_opened, folder, **how)  # type: ignore[arg-type]


def events(folder: Path) -> list[tuple[str, str]]:
    """Give (what, process) of each thing that workers did: `open`, and numbers of tasks."""
    found = [
        line.split() for path in folder.glob("said-*") for line in path.read_text().splitlines()
    ]
    return [(what, process) for what, process in found]


@contextmanager
def _opened(
    folder: Path,
    pause: float = 0.0,
    kill: int = -1,
    fail: int = -1,
    always: bool = False,
    refused: bool = False,
) -> Iterator[Do]:
    said = folder / f"said-{os.getpid()}"

    def say(what: object) -> None:
        with said.open("a") as file:
            file.write(f"{what} {os.getpid()}\n")

    say("open")
    if refused:
        raise BadInput("this worker has another base", where="base")

    def do(number: int) -> None:
        say(number)
        time.sleep(pause)
        if number == kill and (always or not (folder / "killed").exists()):
            (folder / "killed").touch()
            os.kill(os.getpid(), 9)
        if number == fail:
            raise BadInput(f"{number} is not to be had", where="there", hint="Take another.")
        part = folder / f"out/.{number}"
        part.parent.mkdir(exist_ok=True)
        part.write_text(f"{number} squared is {number**2}")
        part.rename(folder / f"out/{number}.txt")

    yield do
