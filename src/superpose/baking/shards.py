"""The new model's weight files: the base's, shard by shard, in the base's order.

What no delta touches is copied byte for byte; the rest is computed a block of rows at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from io import FileIO
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superpose.baking.blocks import new_rows
from superpose.baking.plan import NewTensor, Plan, as_it_is
from superpose.baking.scratch import Scratch
from superpose.errors import BadInput
from superpose.files.checkpoint import stored_dtype
from superpose.files.copying import copy_bytes, write_all
from superpose.files.finite import all_finite
from superpose.files.header import SIZES, TensorEntry, write_header
from superpose.files.tensors import FLOATS

Array = NDArray[Any]

_FLUSH = 0.1
"""Seconds between two calls that bring what is written to the disk."""

WORKERS = 4
"""Tensors written at once at most: reading, computing and writing wait for different things."""

STEP = 1 << 26
"""Bytes copied between two reports of progress."""

Done = Callable[[int], object]
"""Told how many bytes were written, now and then."""


class FilePiece(NamedTuple):
    """One tensor of a new file: its name, its entry there, and where its values come from."""

    name: str
    entry: TensorEntry
    target: NewTensor


class Job(NamedTuple):
    """A tensor to compute, or some that lie side by side to copy: where in which new file."""

    file: str
    at: int
    pieces: tuple[FilePiece, ...]


class Shard(NamedTuple):
    """One new file: its name and its tensors in order."""

    file: str
    pieces: tuple[FilePiece, ...]

    @property
    def bytes(self) -> int:
        """Of its tensors."""
        return self.pieces[-1].entry.end if self.pieces else 0


def shards_of(plan: Plan, dtype: str | None) -> list[Shard]:
    """Give the new model's files.

    dtype: of a header, that every floating-point tensor is converted to; None keeps each one's.
    """
    checkpoint, new = plan.checkpoint, list(plan.new)
    shards = []
    for number, file in enumerate(checkpoint.files):
        names = [name for name in plan.names if checkpoint.locations[name].file == file]
        targets = [plan.targets.get(name) or as_it_is(plan, name) for name in names]
        last = number == len(checkpoint.files) - 1
        targets += [t for t in new if t.source in names or (t.source is None and last)]
        shards.append(Shard(file, tuple(_pieces(targets, dtype))))
    return shards


def write_shards(plan: Plan, shards: Sequence[Shard], folder: Path, done: Done) -> None:
    """Write the new files into `folder`, several tensors at a time.

    done: called from one thread at a time.

    Raises BadInput, naming the tensor, when a new value is not finite; OSError as the system does.
    """
    jobs = [job for shard in shards for job in _jobs(plan, shard, folder)]
    turns, stopped = Lock(), Event()

    def step(count: int) -> None:
        with turns:
            if stopped.is_set():
                raise InterruptedError
            done(count)

    pool = ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1))
    flushing = Thread(target=_flush, args=([folder / s.file for s in shards], stopped), daemon=True)
    flushing.start()
    try:
        running = [pool.submit(_write, plan, folder, job, step) for job in jobs]
        finished = wait(running, return_when=FIRST_EXCEPTION).done
        for future in running:
            if future in finished:
                future.result()
    finally:  # Ctrl-C reaches this thread alone
        stopped.set()
        pool.shutdown(cancel_futures=True)
        flushing.join()


def _flush(paths: Sequence[Path], stopped: Event) -> None:
    """Let the disk work while the processor does: what is left to the end waits for it alone."""
    while not stopped.wait(_FLUSH):
        for path in paths:
            with suppress(OSError), path.open("rb") as file:  # the last sync tells what went wrong
                os.fsync(file.fileno())


def _jobs(plan: Plan, shard: Shard, folder: Path) -> Iterator[Job]:
    """Begin a new file, and give what is to be written into it."""
    header = write_header(
        {piece.name: piece.entry for piece in shard.pieces}, plan.checkpoint.metadata[shard.file]
    )
    with (folder / shard.file).open("xb") as target:
        target.write(header)
        target.truncate(len(header) + shard.bytes)
    for run in _runs(shard.pieces, plan):
        yield Job(shard.file, len(header) + run[0].entry.begin, tuple(run))


def _write(plan: Plan, folder: Path, job: Job, step: Done) -> None:
    first, last = job.pieces[0], job.pieces[-1]
    with (folder / job.file).open("r+b", buffering=0) as target:
        target.seek(job.at)
        if not _is_copied(first, plan):
            for data in _computed(plan, first):
                write_all(target.fileno(), data)
                step(len(data))
            return
        begin, count = plan.checkpoint.locations[first.name].offset, last.entry.end
        end = begin + count - first.entry.begin
        with (plan.checkpoint.folder / job.file).open("rb", buffering=0) as source:
            for low in range(begin, end, STEP):
                _copy(source, target, low, min(STEP, end - low))
                step(min(STEP, end - low))


def _pieces(targets: list[NewTensor], dtype: str | None) -> Iterator[FilePiece]:
    at = 0
    for target in targets:
        own = dtype if dtype is not None and target.dtype in FLOATS else target.dtype
        end = at + target.rows * target.columns * SIZES[own]
        yield FilePiece(target.name, TensorEntry(own, target.shape, at, end), target)
        at = end


def _is_copied(piece: FilePiece, plan: Plan) -> bool:
    return plan.is_copied(piece.target) and piece.entry.dtype == piece.target.dtype


def _runs(pieces: tuple[FilePiece, ...], plan: Plan) -> Iterator[list[FilePiece]]:
    """Put tensors that are copied and lie side by side together; each other one is alone."""
    run: list[FilePiece] = []
    for piece in pieces:
        if run and not _follows(piece, run[-1], plan):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _follows(piece: FilePiece, before: FilePiece, plan: Plan) -> bool:
    """Whether two tensors are copied, and lie side by side in the base's file as well."""
    if not (_is_copied(piece, plan) and _is_copied(before, plan)):
        return False
    locations = plan.checkpoint.locations
    size = before.entry.end - before.entry.begin
    return locations[piece.name].offset == locations[before.name].offset + size


def _copy(source: FileIO, target: FileIO, begin: int, count: int) -> None:
    try:
        copy_bytes(source.fileno(), target.fileno(), begin, count)
    except EOFError as error:
        raise BadInput("became shorter while it was copied", where=source.name) from error


def _computed(plan: Plan, piece: FilePiece) -> Iterator[memoryview]:
    """Give the bytes of a tensor, a block at a time; each holds until the next is asked for."""
    memory = Scratch()
    dtype = stored_dtype(piece.entry.dtype)
    for block in new_rows(plan.checkpoint, piece.target, scratch=memory):
        rounded = memory.array("rounded", block.new.shape, dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # seen below, by name
            np.copyto(rounded, block.new, casting="unsafe")
        if not all_finite(rounded) and not _was_so(piece, block.base, rounded):
            raise _not_finite(piece, block.base)
        yield rounded.reshape(-1).view(np.uint8).data


def _was_so(piece: FilePiece, base: Array, rounded: Array) -> bool:
    """Whether a tensor that is merely converted was infinite or NaN where it is now."""
    if piece.target.changes:
        return False
    with np.errstate(invalid="ignore"):  # some bits of NaN make a cast say so
        x, y = (np.isfinite(a.astype(np.float64)) for a in (base, rounded))
    return bool(np.array_equal(x, y))


def _not_finite(piece: FilePiece, base: Array) -> BadInput:
    if not np.isfinite(base.astype(np.float64)).all():
        reason = "the base model's own values are not"
    elif piece.entry.dtype in ("F16", "BF16"):
        reason = f"{FLOATS[piece.entry.dtype]} does not hold the sum"
    else:
        reason = "a delta is too large"
    return BadInput(
        f"`{piece.name}` would not be finite: {reason}; nothing was written",
        where=piece.name,
    )
