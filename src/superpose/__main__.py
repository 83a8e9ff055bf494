"""`python -m superpose` is `superpose`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Start the command line; Ctrl-C while it is imported ends it like Ctrl-C later on."""
    try:
        from superpose.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
