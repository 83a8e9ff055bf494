"""The home folder in a path that somebody wrote."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["with_home"]


def with_home(given: str | os.PathLike[str]) -> Path:
    """Give a path with `~` followed; `~nobody` where nobody is called so is a name as others."""
    return Path(os.path.expanduser(given))  # noqa: PTH111  which raises for it
