"""Where a verb's work lies, and who does it: this process, or workers that share its folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from superpose.errors import BadSetting
from superpose.verbs.settings import held

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.executor import Execution, WorkFolder

__all__ = ["adapter_marks", "check_place", "shared_folder"]


def check_place(out: str | os.PathLike[str] | None, execution: Execution) -> None:
    """Raise BadSetting where workers elsewhere would have no folder in common."""
    from superpose.executor import Execution

    held(execution, Execution, "execution")
    if out is None and execution.executor != "local":
        raise BadSetting(
            f"workers of {execution.executor} share a folder, and none is named",
            where="out",
            hint="Name one that all machines see: -o FOLDER in the shell, out= in Python.",
        )


@contextmanager
def shared_folder(
    out: str | os.PathLike[str] | None,
    kind: str,
    identity: Callable[[], Mapping[str, Any]],
    execution: Execution,
    later: Sequence[str] = (),
) -> Iterator[WorkFolder | None]:
    """Give the folder of a piece of work, which nobody else works in meanwhile.

    None where all of it is done in this process and nothing is to be kept; without `out` processes
    here share one that is gone afterwards. kind, later: as of a `WorkFolder`. identity: gives that
    of the work, which takes checksums, where it is needed. Raises BadInput where the folder is
    another's.
    """
    from superpose.executor import WorkFolder

    if out is None and execution.in_process:
        yield None
        return
    if out is None:
        with (
            tempfile.TemporaryDirectory(prefix="superpose-") as path,
            shared_folder(path, kind, identity, execution) as found,
        ):
            yield found
        return
    folder = WorkFolder(os.fspath(out), kind, later)
    folder.claim(identity())
    with folder.locked():
        yield folder


def adapter_marks(adapters: Sequence[Adapter]) -> list[list[str]]:
    """Tell adapters apart by what they hold: -A has A's norm, and may have its name too."""
    from superpose.adapter import content_mark

    return [[adapter.name, content_mark(adapter)] for adapter in adapters]
