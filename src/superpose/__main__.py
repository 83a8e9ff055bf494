"""`python -m superpose` is `superpose`."""

from __future__ import annotations

import atexit
import gc
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Start the command line; Ctrl-C while it is imported ends it like Ctrl-C later on.

    Once the command is done, Ctrl-C has nothing left to end: its code stands, and Python's own way
    out is not disturbed, which would print a traceback.
    """
    # First of all, so that it is done last: Python looks through all that there is for what nobody
    # needs, and in what torch, transformers and PEFT have loaded that takes longer than many a sum.
    atexit.register(gc.freeze)
    try:
        try:
            from superpose.cli.app import main as run

            run()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(130)


if __name__ == "__main__":
    main()
