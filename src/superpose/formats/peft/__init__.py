"""PEFT's LoRA folders: read, and written so that every engine reads them alike."""

from superpose.formats.folded import checked_dtype
from superpose.formats.peft.read import read_peft
from superpose.formats.peft.write import REPLACEABLE, Written, write_peft

__all__ = ["REPLACEABLE", "Written", "checked_dtype", "read_peft", "write_peft"]
