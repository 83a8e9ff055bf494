"""Commands that are killed at a moment: forks of a process that has loaded what they load.

What a user's kill meets is the command's own work, and not Python's imports, which take longer than
all of it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ended", "Runner", "runner"]

PATIENCE = 120.0
"""Seconds that a command may take, or go on after Ctrl-C, before it is called stuck."""


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: below zero for a signal. seconds: from the fork on."""

    code: int
    seconds: float
    said: str
    told: str
    stuck: bool


class Runner:
    """Runs commands one after another, and sends them signals."""

    def __init__(self, server: subprocess.Popen[str], folder: Path) -> None:
        self._server = server
        self._outputs = folder / "out", folder / "err"

    def run(self, args: Sequence[str], cwd: Path, after: float = -1.0, number: int = 0) -> Ended:
        """Run `superpose ARGS`. after: seconds until it gets the signal `number`; below 0, none."""
        out, err = self._outputs
        asked = {
            "args": args,
            "cwd": str(cwd),
            "environment": dict(os.environ),
            "outputs": [str(out), str(err)],
            "after": after,
            "number": number,
        }
        asking, answering = self._server.stdin, self._server.stdout
        assert asking is not None
        assert answering is not None
        asking.write(json.dumps(asked) + "\n")
        asking.flush()
        code, seconds, stuck = json.loads(answering.readline())
        said, told = (path.read_text(encoding="utf-8", errors="replace") for path in (out, err))
        return Ended(code, seconds, said, told, stuck)


@contextmanager
def runner(folder: Path, modules: Sequence[str]) -> Iterator[Runner]:
    """Start the process whose forks the commands are, with these modules loaded."""
    server = subprocess.Popen(
        [sys.executable, __file__, *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        yield Runner(server, folder)


def _serve(modules: Sequence[str]) -> None:
    from importlib import import_module

    for name in ("superpose.__main__", "superpose.cli.app", *modules):
        import_module(name)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    for line in sys.stdin:
        asked = json.loads(line)
        after, number = asked.pop("after"), asked.pop("number")
        begun = time.monotonic()
        child = os.fork()
        if not child:
            _become(**asked)
        answer = _watched(child, begun, after, number)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _watched(child: int, begun: float, after: float, number: int) -> tuple[int, float, bool]:
    sent = stuck = False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        passed = time.monotonic() - begun
        if ended:
            return os.waitstatus_to_exitcode(status), passed, stuck
        if after >= 0 and not sent and passed >= after:
            os.kill(child, number)
            sent = True
        if passed > max(after, 0) + PATIENCE and not stuck:
            os.kill(child, signal.SIGKILL)
            stuck = True
        time.sleep(0.0005)


def _become(
    *, args: Sequence[str], cwd: str, environment: dict[str, str], outputs: Sequence[str]
) -> None:
    """Be `superpose ARGS` from here on; does not come back."""
    from superpose.__main__ import main

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    places = ((os.devnull, os.O_RDONLY), *((path, flags) for path in outputs))
    for number, (path, how) in enumerate(places):
        file = os.open(path, how)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["superpose", *args]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    except KeyboardInterrupt:  # it came before the command began
        os._exit(130)
    main()


if __name__ == "__main__":
    _serve(sys.argv[1:])
