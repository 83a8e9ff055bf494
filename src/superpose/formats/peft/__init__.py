"""PEFT's LoRA folders: read, and written so that every engine reads them alike."""

from superpose.adapter.beside import TOKENIZER
from superpose.files.file_format import INPUT_STATISTICS, PEFT

CARD = "README.md"
TRAINING = "training.json"

REPLACEABLE = frozenset({*PEFT.folder, CARD, TRAINING, INPUT_STATISTICS}) | TOKENIZER
"""What a folder may hold for `force` to replace it: an adapter of ours, added or trained, and
statistics of what its modules see, which are none of another adapter's."""

__all__ = ["CARD", "REPLACEABLE", "TRAINING"]
