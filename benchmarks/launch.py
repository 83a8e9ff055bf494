"""Run one command in a process of its own; print its seconds, CPU seconds and peak memory.

A child's peak memory, as the kernel counts it, begins with that of the process it was started
from: so it is started from this small one and not from a benchmark that holds a model.

    python -I -S launch.py COMMAND ARGUMENT...
"""

from __future__ import annotations

import os
import sys
import time


def main(command: list[str]) -> int:
    """Run `command` with its output thrown away; its exit code."""
    # What pip installs is compiled. Where Python may keep nothing, superpose alone would be
    # compiled anew at every start, and the libraries beside it not.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.execvp(command[0], command)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    # Bytes on macOS, KiB elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    cpu = usage.ru_utime + usage.ru_stime
    peak = usage.ru_maxrss * unit / 1e6
    print(f'{{"seconds": {seconds}, "cpu": {cpu}, "peak_mb": {peak}}}')
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
