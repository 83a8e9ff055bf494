"""Which adapters of a library are most like one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from superpose.arguments import typed
from superpose.errors import BadSetting
from superpose.verbs.adapters import AdapterName

if TYPE_CHECKING:
    from superpose.library.near import Neighbours

__all__ = ["near"]


@typed
def near(
    adapter: AdapterName, index: str | os.PathLike[str] = "library.index", *, most: int = 10
) -> Neighbours:
    """Find the adapters of an index whose deltas have the largest cosines with one adapter.

    adapter: its name in the index, a folder, a file or a hub name, or a loaded one. most: of them.
    They are found by sketches and told exactly: cosine, scale and what difference is left.

    Raises BadInput for an index that is none, DifferentBase for an adapter of a base model that the
    index does not have, and as loading does.
    """
    from superpose.library.near import nearest
    from superpose.library.opened import open_library
    from superpose.library.query import asked_of

    if most < 1:
        raise BadSetting(f"{most} is below 1", where="most")
    return nearest(asked_of(open_library(index), adapter), most)
