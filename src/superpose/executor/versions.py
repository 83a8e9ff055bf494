"""What two processes must have in common so that their results are of one kind."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from superpose._version import __version__
from superpose.errors import BadInput

__all__ = ["check_versions", "versions_here"]

_PACKAGES = ("numpy", "safetensors", "tokenizers", "torch", "transformers", "peft")


@functools.cache
def versions_here() -> Mapping[str, str]:
    """Give the versions of superpose and of what it computes with, and its sources' checksum."""
    root = Path(__file__).resolve().parent.parent
    sources = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        sources.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    found = {"superpose": __version__, "its sources": sources.hexdigest()[:12]}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def check_versions(wanted: Mapping[str, str], where: object) -> None:
    """Raise BadInput where this process has other versions than the command that began the work."""
    here = versions_here()
    different = [name for name in wanted if wanted[name] != here.get(name)]
    if different:
        said = "; ".join(f"{name} {here.get(name)}, not {wanted[name]}" for name in different)
        raise BadInput(
            f"this worker has other versions than the command that began the work: {said}",
            where=where,
            hint="Install the same on all machines. What is finished is kept; then the same "
            "command goes on.",
        )
