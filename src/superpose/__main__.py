"""`python -m superpose` is `superpose`."""

from __future__ import annotations

from superpose.cli.app import main

if __name__ == "__main__":
    main()
