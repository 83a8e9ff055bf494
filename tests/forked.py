"""What a fork of a process that has loaded everything does to be `superpose ARGS`, and to end.

Python's own way out takes apart all that the process has loaded: half a second where that is torch,
twenty times what the fork took, and nobody waits for anything in it. A fork leaves before that, and
after whatever was registered to be done at the end.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["COMMANDS", "ROOT", "become", "forks_leave_at_once", "take"]

ROOT = Path(__file__).resolve().parent.parent
"""Where a process that forks is started, so that it finds this module."""

COMMANDS = (
    *("rich.console", "rich.progress", "rich.table"),
    *(f"superpose.cli.{name}" for name in ("app", "add", "bake", "check", "diff", "info", "show")),
    *(f"superpose.verbs.{name}" for name in ("add", "bake", "check", "diff", "info")),
    "superpose.baking",
    "superpose.formats.beside",
    "superpose.formats.peft.read",
    "superpose.formats.peft.write",
    "superpose.interference.difference",
)
"""Modules of the commands that are run most; none of them loads torch."""

_code = 1
"""What this process ends with: 1 as of an error that nobody caught."""


def forks_leave_at_once() -> None:
    """Let every fork end so. Called before all is loaded: what is registered later runs first."""
    atexit.register(_leave, os.getpid())


def _leave(parent: int) -> None:
    if os.getpid() != parent:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_code)


def take(streams: Sequence[int]) -> None:
    """Have these open files for standard input, output and error."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)


def become(args: Sequence[str], cwd: str, environment: Mapping[str, str]) -> None:
    """Be `superpose ARGS` from here on, whose streams are these; does not come back."""
    from superpose.__main__ import main

    global _code
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["superpose", *args]
    try:
        main()
    except SystemExit as left:
        _code = left.code if isinstance(left.code, int) else int(left.code is not None)
        raise
