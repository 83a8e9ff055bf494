"""Runs one way of one tool in the interpreter where that tool is installed.

`python -m benchmarks.exactness.worker TOOL WAY` reads a task a line from standard input and writes
an answer a line to standard output; whatever the tool prints goes to standard error. With
`--about DISTRIBUTION` it writes one line, the versions of that and of what it stands on, and ends.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from benchmarks.exactness.protocol import Answer, CannotAsk, Task, Way
from benchmarks.exactness.tools import TOOLS

__all__ = ["about", "answer"]

_STANDS_ON = ("torch", "transformers", "peft", "numpy", "safetensors")


def answer(way: Way, task: Task) -> Answer:
    """Let the tool write one sum; whatever it raises is its answer."""
    try:
        return Answer("written", path=str(way.run(task)))
    except CannotAsk as reason:
        return Answer("cannot", str(reason))
    except (Exception, SystemExit) as error:  # noqa: BLE001 (what a tool raises is its own affair)
        said = str(error) or repr(error)
        return Answer("refused", said if _plain(error) else f"{type(error).__name__}: {said}")


def about(distribution: str) -> dict[str, str] | None:
    """Give the versions of a tool and of what it stands on; None where it is not installed."""
    found = {"python": platform.python_version()}
    for name in (distribution, *_STANDS_ON):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            if name == distribution:
                return None
    return found


def _plain(error: BaseException) -> bool:
    """Tell whether the message is a program's own last words, not a Python exception."""
    return isinstance(error, (SystemExit, ChildProcessError))


def main(tool: str, way: str) -> None:
    """Serve tasks until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    if tool == "--about":
        answers.write(json.dumps(about(way)) + "\n")
        return
    (chosen,) = (each for each in TOOLS[tool].ways if each.name == way)
    for line in sys.stdin:
        answers.write(answer(chosen, Task.from_line(line)).to_line() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
