"""Programs that a message gives as `python -c "..."`, followed in this process, which has torch."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
import warnings
from pathlib import Path

__all__ = ["follow"]


def follow(message: str, *arguments: object, cwd: Path | None = None) -> None:
    """Run the one program of a message as a shell would start it, in the folder `cwd`.

    arguments: in place of those that the message gives.
    """
    (start,) = re.finditer(r'python -c "', message)
    program = shlex.split(message[start.start() :].replace("\\\n", ""), comments=False)[2]
    ours, sys.argv = sys.argv, ["-c", *map(str, arguments)]
    try:
        with contextlib.chdir(cwd or Path.cwd()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(program, "<pasted>", "exec"), {"__name__": "__main__"})
    finally:
        sys.argv = ours
