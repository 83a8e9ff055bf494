"""A base model as another process loads it: known by its weights, not by its name alone."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Self

import torch

from superpose.errors import BadInput
from superpose.model.base_model import BaseModel, load_base
from superpose.model.device import AUTO

__all__ = ["CarriedBase", "base_checksum", "check_same_base_here"]


@dataclass(frozen=True)
class CarriedBase:
    """What a worker is told of the base model that the command has loaded.

    name: by which it was asked for. dtype: of its weights in memory. checksum: `base_checksum`.
    device: where it was asked to be.
    """

    name: str
    dtype: str
    checksum: str
    device: str = AUTO

    @classmethod
    def of(cls, base: BaseModel) -> Self:
        """Give what is told of a loaded base model."""
        dtype = str(next(base.model.parameters()).dtype).removeprefix("torch.")
        return cls(base.name, dtype, base_checksum(base), base.device)

    def load(self) -> BaseModel:
        """Load it in this process. Raises BadInput where another lies here under that name."""
        base = load_base(self.name, dtype=self.dtype, device=self.device)
        check_same_base_here(base, self.checksum)
        return base


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
