"""`--status`: how far work is that another shell, or another machine, is at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from superpose.cli.beside import nothing_beside
from superpose.errors import BadSetting

if TYPE_CHECKING:
    from superpose.executor import WorkStatus

__all__ = ["status_of"]


def status_of(out: Path | None, html: Path | None = None) -> WorkStatus:
    """Tell how far the work in a folder is.

    Raises BadSetting where none is named, and where a page is asked for, which needs results.
    """
    from superpose.executor import work_status

    nothing_beside("status", html=html)

    if out is None:
        raise BadSetting(
            "how far it is stands in its folder, and none is named",
            where="status",
            hint="Give --out FOLDER, as the command does that is at work.",
        )
    return work_status(out)
