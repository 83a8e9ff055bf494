"""Commands in processes of their own that need not load Python's and superpose's modules again.

A server loads what every command loads, once. Each command is a fork of it, with a folder, an
environment and streams of its own, and ends as a process ends. `python -m superpose` itself is what
tests/cli/test_streams.py, tests/test_imports.py and the blocks of the pages run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Ended", "Processes", "served"]

LOADED = (
    "rich.console",
    "rich.table",
    "superpose.cli.app",
    "superpose.compose",
    "superpose.formats.peft.read",
    "superpose.formats.peft.write",
    "superpose.interference.difference",
)


class Ended(subprocess.CompletedProcess[str]):
    """A command that has ended. seconds: of a core. memory: the most that it held, in kB."""

    seconds: float
    memory: int


class Processes:
    """Runs commands one after another. folder: where their outputs lie until they are read."""

    def __init__(self, server: subprocess.Popen[str], folder: Path) -> None:
        self._server = server
        self._outputs = folder / "out", folder / "err"

    def run(self, args: Sequence[str], cwd: Path | None) -> Ended:
        """Run `superpose ARGS` as `subprocess.run` would, with nothing on standard input."""
        out, err = self._outputs
        asked = {
            "args": args,
            "cwd": str(cwd or Path.cwd()),
            "environment": dict(os.environ),
            "out": str(out),
            "err": str(err),
        }
        asking, answering = self._server.stdin, self._server.stdout
        assert asking is not None
        assert answering is not None
        asking.write(json.dumps(asked) + "\n")
        asking.flush()
        code, seconds, memory = answering.readline().split()
        said, told = (path.read_text(encoding="utf-8") for path in (out, err))
        ended = Ended(["superpose", *args], int(code), said, told)
        ended.seconds, ended.memory = float(seconds), int(memory)
        return ended


@contextmanager
def served(folder: Path) -> Iterator[Processes]:
    """Start the server, and end it with the block."""
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:
        yield Processes(server, folder)


def serve() -> None:
    """Fork for every line that comes in, and answer with the exit code and what was used."""
    from importlib import import_module

    for name in LOADED:
        import_module(name)
    import_module("numpy").seterr(all="raise", under="ignore")  # as in conftest.py
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(**json.loads(line))
        _, status, used = os.wait4(child, 0)
        code, seconds = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        sys.stdout.write(f"{code} {seconds} {used.ru_maxrss}\n")
        sys.stdout.flush()


def become(
    *, args: Sequence[str], cwd: str, environment: dict[str, str], out: str, err: str
) -> None:
    """Be `superpose ARGS` from here on; does not come back."""
    from superpose.__main__ import main

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        file = os.open(path, flags)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["superpose", *args]
    main()


if __name__ == "__main__":
    serve()
