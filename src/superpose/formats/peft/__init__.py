"""PEFT's LoRA folders: read, and written so that every engine reads them alike."""

from superpose.adapter.beside import TOKENIZER
from superpose.files.file_format import PEFT

CARD = "README.md"
TRAINING = "training.json"

REPLACEABLE = frozenset({*PEFT.folder, CARD, TRAINING}) | TOKENIZER
"""What a folder may hold for `force` to replace it: an adapter of ours, added or trained."""

__all__ = ["CARD", "REPLACEABLE", "TRAINING"]
