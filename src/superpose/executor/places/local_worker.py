"""The process of a local worker: it ends when the command that started it does."""

from __future__ import annotations

import _thread
import atexit
import gc
import os
import sys
import threading
import time

from superpose.executor.working import work_as

__all__ = ["main"]

_TO_TIDY = 15.0
"""Seconds between the end of the command and ours, whatever we are doing."""


def main(folder: str, name: str, worker: int) -> None:
    """Work until nothing is open, or until standard input ends."""
    atexit.register(gc.freeze)  # as in `superpose.__main__`, before anything heavy is loaded
    threading.Thread(target=_end_with_the_command, daemon=True).start()
    try:
        work_as(folder, name, worker)
    except KeyboardInterrupt:
        sys.exit(130)


def _end_with_the_command() -> None:
    while os.read(0, 1):
        pass
    _thread.interrupt_main()  # as Ctrl-C: what was begun is taken away
    time.sleep(_TO_TIDY)
    os._exit(130)
