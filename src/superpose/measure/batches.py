"""Batches of rows of like length: little padding, and logits for answer tokens alone.

Rows are padded on the right. A causal model's answer positions never look to the right of
themselves, so the padding needs no attention mask and cannot change a score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Sampler

from superpose.data.prompt import Example

__all__ = [
    "BATCH_TOKENS",
    "Batch",
    "LengthGroupedSampler",
    "collate",
    "evaluation_batches",
    "unpadded",
]

BATCH_TOKENS = 1024
"""Tokens a batch: enough to fill two cores, little enough to stay in their caches."""


@dataclass(frozen=True)
class Batch:
    """Rows x tokens of input, and the N answer tokens to be predicted in it.

    input_ids: (rows, tokens). positions: (N,) flat indices into rows x tokens of the hidden
    states that predict. labels: (N,) the tokens they should predict. row: (N,) whose they are.
    lengths: (rows,) tokens of each row without padding.
    """

    input_ids: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor
    row: torch.Tensor
    lengths: torch.Tensor

    @property
    def rows(self) -> int:
        """How many examples it holds."""
        return int(self.input_ids.shape[0])

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(**{name: tensor.to(device) for name, tensor in vars(self).items()})


def collate(examples: Sequence[Example], pad: int = 0) -> Batch:
    """Put examples into one batch, padded on the right with the token `pad`."""
    width = max(example.length for example in examples)
    input_ids = np.full((len(examples), width), pad, dtype=np.int64)
    positions, labels, rows = [], [], []
    for index, example in enumerate(examples):
        ids = example.question + example.answer[:-1]
        input_ids[index, : len(ids)] = ids
        first = index * width + len(example.question) - 1
        positions.append(np.arange(first, first + len(example.answer)))
        labels.append(np.asarray(example.answer, dtype=np.int64))
        rows.append(np.full(len(example.answer), index))
    return Batch(
        torch.from_numpy(input_ids),
        torch.from_numpy(np.concatenate(positions)),
        torch.from_numpy(np.concatenate(labels)),
        torch.from_numpy(np.concatenate(rows)),
        torch.tensor([example.length for example in examples]),
    )


def unpadded(batch: Batch) -> Callable[[torch.Tensor], torch.Tensor]:
    """Give what takes a module's inputs (rows, tokens, d) without the padding: (T, d).

    Inputs of another shape are taken whole: the output layer is shown the answer's positions alone,
    none of them padding.
    """
    width = batch.input_ids.shape[1]
    real = torch.arange(width, device=batch.lengths.device) < batch.lengths[:, None]
    return lambda x: x[real] if x.shape[:-1] == real.shape else x.reshape(-1, x.shape[-1])


def evaluation_batches(examples: Sequence[Example], tokens: int) -> Iterator[list[int]]:
    """Indices of examples, longest first, in batches of at most `tokens` tokens with padding."""
    order = sorted(range(len(examples)), key=lambda i: (-examples[i].length, i))
    batch: list[int] = []
    for index in order:
        # Longest first: the batch's width is its first member's.
        if batch and (len(batch) + 1) * examples[batch[0]].length > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


class LengthGroupedSampler(Sampler[int]):
    """Every row once an epoch, in seeded random order, so that batches hold like lengths.

    Rows are shuffled, cut into pools of `pool` batches, sorted by length within the pool and
    cut into batches, whose order is shuffled again; an incomplete batch comes last, so that a
    loader that cuts the stream every `batch_size` rows gets these very batches. transformers'
    own group_by_length feeds the longest rows first, a curriculum where one pool is the epoch.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, *, pool: int = 32
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.pool = pool
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, and so the order, of the next pass; accelerate calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(len(self.lengths))
        whole = len(order) - len(order) % self.batch_size
        size = self.pool * self.batch_size
        batches: list[np.ndarray] = []
        for start in range(0, whole, size):
            part = order[start : min(start + size, whole)]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches.extend(part.reshape(-1, self.batch_size))
        for index in generator.permutation(len(batches)):
            yield from batches[index].tolist()
        yield from order[whole:].tolist()
