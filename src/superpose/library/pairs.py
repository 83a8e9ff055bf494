"""All pairs of a library, by blocks: one file a block pair, memory bounded whatever the number.

A block pair is a task for the executor; its file is named by what the blocks hold, and one that is
there is not computed again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from superpose.executor import Do, Execution, Task, work_off
from superpose.files import new_file
from superpose.library.blocks import BlockProducts, Stacked, stacked
from superpose.library.columns import as_numpy, numbers, table_of
from superpose.library.opened import Library, open_library
from superpose.library.placing import Place, block_there, products_there
from superpose.library.table import PAIRS, arrow, at_work_on

Array: TypeAlias = Any

Tell: TypeAlias = Callable[[float, float | None, str], None]

BLOCK_BYTES = 300_000_000
"""Of a block's stacked factors; two are held at once."""

_FIGURES = 4  # bytes, float32


class AllPairs(NamedTuple):
    """Figures of every pair of N adapters, (N, N) each; the diagonal of a zero adapter is NaN."""

    cosine: Array
    rms_cosine: Array
    floor: Array
    shared: Array


def blocks_of(library: Library, base: str, most: int | None = None) -> list[list[int]]:
    """Give the positions of a base's adapters in blocks of bounded size, in the index's order.

    most: bytes of a block.
    """
    most = most or BLOCK_BYTES
    found: list[list[int]] = [[]]
    room = most
    for at in library.bases[base]:
        needs = library.entries[at].parameters * _FIGURES
        if found[-1] and needs > room:
            found.append([])
            room = most
        found[-1].append(at)
        room -= needs
    return found


def block_pairs(count: int) -> Iterator[tuple[int, int]]:
    """Give all pairs of blocks, those that share one behind each other."""
    for i in range(count):
        row = range(i, count)
        yield from ((i, j) for j in (row if i % 2 == 0 else reversed(row)))


def block_pair(index: str | os.PathLike[str], base: str, i: int, j: int) -> Path:
    """Compute one pair of blocks, unless its file is there, and give the file.

    Its rows: a, b (the adapters' numbers), and the figures of `BlockProducts`.
    """
    return _computed(_Blocks(open_library(index, base), base), i, j)


def compare_pairs(
    library: Library,
    bases: Sequence[str],
    progress: Tell | None = None,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    place: Place | None = None,
) -> None:
    """Take the figures of all pairs of these bases' adapters, but for those whose files are there.

    progress: called with block pairs done, how many there are, and what is done. execution: where
    they are computed, and by how many workers; each holds two blocks. place: what brings their
    factors to where products are taken, such as a GPU; None takes them in NumPy. Raises BadInput
    where another process is at it.
    """
    bench = _Bench(library, BLOCK_BYTES, place)
    tasks = [task for base in bases for task in bench.blocks(base).tasks()]
    opened = (
        bench.opened
        if execution.in_process
        else partial(_in_worker, library.path, BLOCK_BYTES, place)
    )
    tell = progress or (lambda *_: None)
    done = sum((library.path / task.file).exists() for task in tasks)

    def finished(task: Task | None, seconds: float) -> None:
        nonlocal done
        done += task is not None
        tell(done, len(tasks), "pairs, a block by a block")

    finished(None, 0.0)
    if done == len(tasks):
        return  # so that who may only read an index is told what it has
    with at_work_on(library.path):
        work_off(library.path, tasks, opened, execution, finished=finished)


def all_pairs(
    library: Library,
    base: str,
    progress: Tell | None = None,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    place: Place | None = None,
) -> AllPairs:
    """Give the figures of all pairs of a base's adapters, by their order in `library.bases`.

    What was computed before lies in the index; the rest is as `compare_pairs` takes it.
    """
    compare_pairs(library, [base], progress, execution, place)
    blocks = _Blocks(library, base)
    files = [library.path / task.file for task in blocks.tasks()]
    return _assembled(library, library.bases[base], files)


def remove_stale_pairs(library: Library) -> None:
    """Remove files of blocks that the library, all of an index, has no more.

    Raises BadInput where another process is at work there.
    """
    kept = set()
    for base in library.bases:
        blocks = _Blocks(library, base)
        kept |= {blocks.file(i, j).name for i, j in block_pairs(len(blocks.members))}
    stale = [f for f in (library.path / PAIRS).glob("*.parquet") if f.name not in kept]
    if stale:
        with at_work_on(library.path):
            for file in stale:
                file.unlink(missing_ok=True)


@contextmanager
def _in_worker(index: Path, most: int, place: Place | None) -> Iterator[Do]:
    with _Bench(open_library(index), most, place).opened() as do:
        yield do


class _Bench:
    """What computes pairs of blocks. most: bytes of a block."""

    def __init__(self, library: Library, most: int, place: Place | None) -> None:
        self.library, self.most, self.place = library, most, place
        self._at: _Blocks | None = None

    def blocks(self, base: str) -> _Blocks:
        """Give a base's blocks; those of the one before leave memory."""
        if self._at is None or self._at.base != base:
            self._at = _Blocks(self.library, base, self.most, self.place)
        return self._at

    @contextmanager
    def opened(self) -> Iterator[Do]:
        """Give what does a task."""
        yield lambda base, i, j: _computed(self.blocks(base), i, j)


class _Blocks:
    """The blocks of one base, the last two of which stay in memory."""

    def __init__(
        self, library: Library, base: str, most: int | None = None, place: Place | None = None
    ) -> None:
        self.library, self.base, self.place = library, base, place
        self.members = blocks_of(library, base, most)
        self._held: dict[int, Stacked] = {}

    def stacked(self, i: int, other: int) -> Stacked:
        """Give a block; that of `other` stays beside it."""
        if i not in self._held:
            self._held = {at: one for at, one in self._held.items() if at == other}
            rows = sum(self.library.entries[at].rank for at in self.members[i])
            adapters = (self.library.adapter(at) for at in self.members[i])
            self._held[i] = block_there(stacked(adapters, rows=rows), self.place)
        return self._held[i]

    def tasks(self) -> Iterator[Task]:
        """Give every pair of blocks as a task: its work is the pairs of adapters in it."""
        for i, j in block_pairs(len(self.members)):
            file = str(self.file(i, j).relative_to(self.library.path))
            work = len(self.members[i]) * len(self.members[j])
            name = f"pairs of block {i} and block {j} of {self.base}"
            yield Task(name, file, (self.base, i, j), work)

    def file(self, i: int, j: int) -> Path:
        """Give where a pair's figures lie: the name says what both blocks hold."""
        whole = hashlib.sha256()
        for members in (self.members[i], self.members[j]):
            for at in members:
                entry = self.library.entries[at]
                whole.update(f"{entry.number} {entry.content}\n".encode())
            whole.update(b"|")
        return self.library.path / PAIRS / f"{whole.hexdigest()[:32]}.parquet"


def _computed(blocks: _Blocks, i: int, j: int) -> Path:
    path = blocks.file(i, j)
    if not path.exists():
        x = blocks.stacked(i, j)
        found = products_there(x, x if i == j else blocks.stacked(j, i))
        _write(path, blocks, (i, j), found)
    return path


def _write(path: Path, blocks: _Blocks, pair: tuple[int, int], found: BlockProducts) -> None:
    numbered = [
        np.array([blocks.library.entries[at].number for at in blocks.members[one]]) for one in pair
    ]
    a, b = np.meshgrid(*numbered, indexing="ij")
    once = a < b if pair[0] == pair[1] else np.ones(a.shape, bool)
    table = table_of(
        {
            "a": numbers(a[once], "int64"),
            "b": numbers(b[once], "int64"),
            "cosine": numbers(found.cosine[once], "float64"),
            "rms_cosine": numbers(found.rms_cosine[once], "float64"),
            "floor": numbers(found.floor[once], "float64"),
            "shared": numbers(found.shared[once], "int32"),
        }
    )
    with new_file(path) as part:
        arrow().parquet.write_table(table, part, compression="zstd")


def _assembled(library: Library, members: Sequence[int], files: Sequence[Path]) -> AllPairs:
    at = {library.entries[position].number: n for n, position in enumerate(members)}
    places = np.full(max(at, default=0) + 1, -1)
    places[list(at)] = list(at.values())
    count = len(members)
    norms = np.array([library.entries[position].norm for position in members])
    own = np.where(norms > 0.0, 1.0, np.nan)
    cosine, rms, floor = np.diag(own), np.diag(own), np.full((count, count), np.nan)
    shared = np.zeros((count, count), int)
    for file in files:
        table = arrow().parquet.ParquetFile(file).read()
        i, j = (places[as_numpy(table[name])] for name in "ab")
        found = AllPairs(cosine, rms, floor, shared)
        for name, whole in found._asdict().items():
            whole[i, j] = whole[j, i] = as_numpy(table[name])
    return AllPairs(cosine, rms, floor, shared)
