"""What tells the file of a shared form, before anything of it is read."""

from __future__ import annotations

import shlex
from pathlib import Path

from superpose.errors import BadInput
from superpose.files.header import Header

FILE = "shared.safetensors"
"""What `superpose compress --shared` calls it."""

MARK = "superpose_shared"
"""Key of its description in the header's metadata."""

VERSION = 1


def is_shared_form(header: Header | None) -> bool:
    """Say whether a safetensors file is the shared form of several adapters."""
    return header is not None and MARK in header.metadata


def refused_as_adapter(path: Path) -> BadInput:
    """Say what to do with one where an adapter is wanted."""
    return BadInput(
        "holds several adapters in one basis (superpose compress --shared), and is none itself",
        where=path,
        hint="Write them as adapters of their own: superpose expand "
        f"{shlex.quote(str(path))} -o ADAPTERS",
    )
