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

from tests.forked import COMMANDS, ROOT, become, forks_leave_at_once, take

__all__ = ["Ended", "Processes", "served"]


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
            "outputs": [str(out), str(err)],
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
        [sys.executable, "-m", "tests.processes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with server:
        yield Processes(server, folder)


def serve() -> None:
    """Fork for every line that comes in, and answer with the exit code and what was used."""
    from importlib import import_module

    forks_leave_at_once()
    for name in COMMANDS:
        import_module(name)
    import_module("numpy").seterr(all="raise", under="ignore")  # as in conftest.py
    for line in sys.stdin:
        child = os.fork()
        if not child:
            asked = json.loads(line)
            written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            outputs = [os.open(path, written) for path in asked.pop("outputs")]
            take([os.open(os.devnull, os.O_RDONLY), *outputs])
            become(**asked)
        _, status, used = os.wait4(child, 0)
        code, seconds = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        sys.stdout.write(f"{code} {seconds} {used.ru_maxrss}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
