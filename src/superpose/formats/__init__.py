"""Adapters on disk: what a folder means, and writing one."""

from superpose.formats.door import check_output, load, save
from superpose.formats.peft import Written
from superpose.formats.summary import Kind, Summary, summarise

__all__ = ["Kind", "Summary", "Written", "check_output", "load", "save", "summarise"]
