"""Whether a worker's base model is the one that the command has: by its weights, not its name."""

from __future__ import annotations

import hashlib
import json
import zlib

import torch

from superpose.errors import BadInput
from superpose.model import BaseModel

__all__ = ["base_checksum", "check_same_base_here"]


def base_checksum(base: BaseModel) -> str:
    """Give a checksum of a loaded base model's weights and of its tokenizer's vocabulary."""
    found = hashlib.sha256()
    for name, weight in sorted(base.model.state_dict().items()):
        raw = weight.detach().cpu().contiguous().flatten().view(torch.uint8)
        found.update(f"{name} {tuple(weight.shape)} {zlib.crc32(raw.numpy())}\n".encode())
    vocabulary = sorted(base.tokenizer.get_vocab().items())
    found.update(json.dumps(vocabulary).encode())
    return found.hexdigest()


def check_same_base_here(base: BaseModel, wanted: str) -> None:
    """Raise BadInput where this process has loaded another base model than the command."""
    if base_checksum(base) != wanted:
        raise BadInput(
            "this worker's base model has other weights or another tokenizer than the command's",
            where=base.path,
            hint="Give all machines the same files, or name a hub revision as `org/name@revision`. "
            "What is finished is kept; then the same command goes on.",
        )
