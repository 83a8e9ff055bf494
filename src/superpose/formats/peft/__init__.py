"""PEFT's LoRA folders: read, and written so that every engine reads them alike."""

from superpose.formats.peft.read import read_peft
from superpose.formats.peft.write import REPLACEABLE, write_peft

__all__ = ["REPLACEABLE", "read_peft", "write_peft"]
