"""Adapters on disk: what a folder means, and writing one."""

from superpose.formats.door import check_output, load, save
from superpose.formats.table import ENGINES, engines_of
from superpose.formats.written import Written

__all__ = [
    "ENGINES",
    "Written",
    "check_output",
    "engines_of",
    "load",
    "save",
]
