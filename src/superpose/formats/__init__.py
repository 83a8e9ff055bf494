"""Adapters on disk: what a folder means, and writing one."""

from superpose.formats.door import load, save
from superpose.formats.peft import Written

__all__ = ["Written", "load", "save"]
