"""A library's index: made once, and again for what is new alone."""

from __future__ import annotations

import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from superpose.errors import BadInput, SuperposeError, SuperposeWarning
from superpose.files import is_here, with_home
from superpose.formats import load
from superpose.library.entry import LibraryEntry, figures_of
from superpose.library.finding import Candidate, content_of, found_below, stamp_of
from superpose.library.groups import Groups
from superpose.library.sketch import SKETCHED, Sketcher
from superpose.library.table import (
    LOCK,
    PARTS,
    TABLE,
    all_rows,
    arrow,
    as_table,
    at_work_on,
    entries_of,
    in_order,
    read_manifest,
    rows_on_disk,
    stale_rows,
    with_changes,
    write_manifest,
    write_rows,
)

if TYPE_CHECKING:
    import pyarrow as pa

Tell: TypeAlias = Callable[[float, float | None, str], None]

VANISHED = "is no longer there"

_A_PART = 32
"""Adapters after which what is known is written."""

_AHEAD = 4
"""Adapters whose files are hashed while another is read."""


@dataclass(frozen=True)
class IndexUpdate:
    """What an index holds now. counts: of adapters that are new, unchanged, moved, changed, gone.

    entries: all that were looked at, those with a problem too. bases: sound adapters of each.
    missing: names of this run that could not be brought.
    """

    path: Path
    entries: tuple[LibraryEntry, ...]
    counts: dict[str, int]
    bases: dict[str, int]
    missing: tuple[str, ...]
    seconds: float


def index_adapters(
    sources: Sequence[str], out: Path, *, seed: int = 0, progress: Tell | None = None
) -> IndexUpdate:
    """Look at all adapters below the sources, and keep what is known of them in the folder `out`.

    sources: folders, files, hub names; those of an index that is there are looked at again. Only
    what is new, or has other content, is read. seed: of the sketches; an index keeps its own.

    Raises BadInput for an index of another version, no source at all, or where another process is
    at work on this index.
    """
    started = time.perf_counter()
    arrow()
    given = [str(with_home(s).resolve()) if is_here(s) else s for s in sources]
    if _manifest_of(out) is None and not given:
        raise BadInput("nothing to index was named", hint="superpose index FOLDER -o OUT.index")
    with warnings.catch_warnings():  # said when it is gone through
        warnings.simplefilter("ignore", SuperposeWarning)
        found_below(given)  # a name that means nothing is refused before any work
    with at_work_on(out):
        return _indexed(_Work.begun(given, out, seed), sources, progress, started)


def _manifest_of(out: Path) -> dict[str, Any] | None:
    """Read the manifest of what is there; None where nothing is, or a run that had none yet."""
    if out.is_file() or (out.is_dir() and any(path.name != LOCK for path in out.iterdir())):
        return read_manifest(out)
    return None


def _indexed(
    work: _Work, sources: Sequence[str], progress: Tell | None, started: float
) -> IndexUpdate:
    found = found_below(work.sources, work.before)
    for at, (one, look) in enumerate(_ahead(work.look, found)):
        if progress is not None:
            progress(at, len(found), f"read {one.name}")
        work.take(one, look)
    if progress is not None and found:
        progress(len(found), len(found), "write the index")
    entries = work.finish({one.given for one in found})
    bases = Counter(entry.base for entry in entries if entry.sound)
    seconds = time.perf_counter() - started
    missing = tuple(one.given for one in found if one.path is None and one.given in sources)
    return IndexUpdate(work.out, tuple(entries), dict(work.counts), dict(bases), missing, seconds)


class _Look(NamedTuple):
    """What was seen of an adapter's files. content: None where the stamp is that of before."""

    stamp: str
    content: str | None


def _ahead(
    look: Callable[[Candidate], _Look], found: Sequence[Candidate]
) -> Iterator[tuple[Candidate, Callable[[], _Look]]]:
    """Give each place, and what waits for the look at it: a thread hashes those that follow."""
    waiting: deque[Future[_Look]] = deque()
    pool = ThreadPoolExecutor(1, "superpose-hash")
    try:
        for at, one in enumerate(found):
            while len(waiting) < min(_AHEAD, len(found) - at):
                waiting.append(pool.submit(look, found[at + len(waiting)]))
            yield one, waiting.popleft().result
    finally:
        pool.shutdown(cancel_futures=True)


class _Work:
    """An index while it is made.

    known: by where it lies, what was known of an adapter and its row in `old`. kept: rows that
    stay, with what of them may have changed (place, name, stamp). tables: of what was read anew.
    """

    def __init__(self, out: Path, sources: Sequence[str], sketcher: Sketcher) -> None:
        self.out, self.sources, self.sketcher = out, sources, sketcher
        self.before: frozenset[str] = frozenset()
        self.groups, self.counts = Groups(), Counter[str]()
        self.old: pa.Table = as_table(())
        self.known: dict[str, tuple[LibraryEntry, int]] = {}
        self.contents: dict[str, int] = {}
        self.kept: list[tuple[LibraryEntry, int]] = []
        self.fresh: list[LibraryEntry] = []
        self.tables: list[pa.Table] = []
        self.number = 0

    @classmethod
    def begun(cls, given: Sequence[str], out: Path, seed: int) -> _Work:
        """Open the index that is there, or begin one."""
        told = _manifest_of(out) or {"seed": seed, "sketch": SKETCHED, "sources": []}
        seed, size, before = told["seed"], told["sketch"], told["sources"]
        work = cls(out, list(dict.fromkeys((*before, *given))), Sketcher(seed, size))
        work.before = frozenset(before) - frozenset(given)
        write_manifest(out, work.sources, seed, size)
        work._read()
        return work

    def _read(self) -> None:
        tables = []
        for path in (self.out / TABLE, *sorted((self.out / PARTS).glob("*.parquet"))):
            if path.exists():
                table, self.groups = rows_on_disk(path)
                tables.append(table)
        self.old = all_rows([self.old, *tables])
        for row, entry in enumerate(entries_of(self.old)):
            self.known[entry.given] = entry, row  # the last one counts
            if entry.sound:
                self.contents[entry.content] = row
        self.number = max((e.number for e, _ in self.known.values()), default=-1) + 1

    def look(self, one: Candidate) -> _Look:
        """Look at the files of one place; nothing is changed."""
        if one.path is None:
            return _Look("", None)
        before, _ = self.known.get(one.given, (None, -1))
        stamp = stamp_of(one.path)
        if before is not None and before.sound and before.stamp == stamp:
            return _Look(stamp, None)
        return _Look(stamp, content_of(one.path))

    def take(self, one: Candidate, look: Callable[[], _Look]) -> None:
        """Take in one place."""
        before, row = self.known.get(one.given, (None, -1))
        number = self.number if before is None else before.number
        self.number += before is None
        entry = LibraryEntry(number, one.name, one.given)
        if one.path is None:
            self._put(entry.without_figures(one.problem or VANISHED), "damaged")
            return
        try:
            stamp, content = look()
            entry = replace(entry, stamp=stamp)
            if content is None and before is not None:
                self._keep(replace(entry, content=before.content), row, "unchanged")
                return
            entry = replace(entry, content=content or "")
            if (same := self.contents.get(entry.content, -1)) >= 0:
                self._keep(entry, same, "unchanged" if same == row else "moved")
                return
            entry = self._read_anew(entry)
        except SuperposeError as error:
            self._put(entry.without_figures(str(error)), "damaged")
            return
        except OSError as error:
            why = f"cannot be read: {error.strerror or error}"
            self._put(entry.without_figures(why), "damaged")
            return
        self._put(entry, "new" if before is None else "changed")

    def _read_anew(self, entry: LibraryEntry) -> LibraryEntry:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", SuperposeWarning)
            whole = load(entry.given, beside=False)
        base, adapter = self.groups.placed(whole)
        remarks = [str(one.message) for one in said]
        if whole.base_model is None and self.groups.skeletons[base].base_model is not None:
            remarks.append(f"names no base model; its modules are those of {base}")
        remark = "; ".join(remarks) or None
        stored = len(whole.replacements) + len(whole) - len(adapter)
        entry = replace(entry, remark=remark, stored=max(0, stored))
        return figures_of(entry, adapter, base, self.sketcher)

    def _keep(self, entry: LibraryEntry, row: int, how: str) -> None:
        self.counts[how] += 1
        self.kept.append((entry, row))

    def _put(self, entry: LibraryEntry, how: str) -> None:
        self.counts[how] += 1
        self.fresh.append(entry)
        if len(self.fresh) >= _A_PART:
            self._flush()
            name = f"{len(self.tables):06d}-{time.time_ns()}.parquet"
            write_rows(self.out / PARTS / name, self.tables[-1], self.groups)

    def _flush(self) -> None:
        self.tables.append(as_table(self.fresh))
        self.fresh = []

    def finish(self, there: set[str]) -> list[LibraryEntry]:
        """Write the table, take the parts away, and give every entry."""
        for given, (entry, _) in self.known.items():
            if given not in there:
                self._put(entry.without_figures(VANISHED), "gone")
        self._flush()
        table = all_rows([with_changes(self.old, self.kept), *self.tables])
        table = in_order(self._brought_up(table))
        write_rows(self.out / TABLE, table, self.groups)
        for part in (self.out / PARTS).glob("*"):
            part.unlink()
        return entries_of(table)

    def _brought_up(self, table: pa.Table) -> pa.Table:
        """Read those anew whose modules' names another adapter has changed since."""
        stale = stale_rows(table, self.groups)
        if not stale:
            return table
        entries = entries_of(table)
        fresh = [self._read_anew(entries[row]) for row in stale]
        rest = [row for row in range(table.num_rows) if row not in set(stale)]
        return all_rows([table.take(rest), as_table(fresh)])
