"""Folders of finished work under their keys, on disk: made once, within a limit, kept while used.

    sums/KEY/          one sum, as it was written
    locks/KEY.lock     shared by all who use it or wait for it, exclusive for who takes it away
    locks/.KEY.making.lock  held by who makes it
    locks/.room.lock   held by who writes or takes away: one at a time, in all processes

Nobody waits for KEY.lock: it is kept for as long as a sum is in use, which may be for days. The
system lets go of a lock when its holder dies. A lock's file goes with its entry, or when it is
made: who has locked one looks whether it is still the one under that name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from superpose.errors import BadInput, Missing

__all__ = ["CacheTrouble", "Hold", "SumCache"]

_HIDDEN = "."


class CacheTrouble(Missing):
    """The server's folder of sums takes nothing more: full, or not to be written."""


@dataclass(frozen=True)
class Hold:
    """A folder that stays where it is until `release`. made: whether it was made just now."""

    path: Path
    made: bool
    handle: int

    def release(self) -> None:
        """Let it be taken away; to be called once."""
        _unlock(self.handle)


@dataclass(frozen=True)
class SumCache:
    """root: the folder of all. limit: bytes."""

    root: Path
    limit: int

    def hold(self, key: str, size: Callable[[], int], write: Callable[[Path], object]) -> Hold:
        """Give the folder under a key, made where there is none yet, and keep it where it is.

        key: a file's name. size: gives the bytes that it will have, generously. write: writes it to
        a path where nothing stands, whole or not at all. Of all that ask for one key at once, in
        any process, one makes it; the longest unused go first where room is needed.

        Raises CacheTrouble where the folder cannot be written, or what is in use leaves no room;
        and what size and write raise.
        """
        handle = self._locked(key, shared=True)
        try:
            made = not self._used_now(key) and self._made_once(key, size, write)
        except BaseException:
            _unlock(handle)
            raise
        return Hold(self._entry(key), made, handle)

    def _used_now(self, key: str) -> bool:
        """Note that an entry is used, by its time; False where there is none."""
        if not self._entry(key).is_dir():
            return False
        with suppress(OSError):
            os.utime(self._entry(key))
        return True

    def _made_once(
        self, key: str, size: Callable[[], int], write: Callable[[Path], object]
    ) -> bool:
        """Make an entry, or wait for who makes it; gives whether it was us."""
        name = f"{_HIDDEN}{key}.making"
        handle = self._locked(name, shared=False)
        try:
            if self._entry(key).is_dir():
                return False
            self._make(key, size(), write)
            return True
        finally:
            with suppress(OSError):
                self._lock_file(name).unlink()
            _unlock(handle)

    def _entry(self, key: str) -> Path:
        return self.root / "sums" / key

    def _make(self, key: str, need: int, write: Callable[[Path], object]) -> None:
        if need > self.limit:
            raise CacheTrouble(
                f"the sum takes {need / 1e6:,.1f} MB, and the server keeps {self.limit / 1e6:,.1f} "
                "MB of sums in all"
            )
        handle = self._locked(f"{_HIDDEN}room", shared=False)
        try:
            with self._told_apart():
                self._make_room(need)
            with self._told_apart():
                write(self._entry(key))
        finally:
            _unlock(handle)

    @contextmanager
    def _told_apart(self) -> Iterator[None]:
        """Let the system's refusals from inside be the folder's trouble, and no one's input."""
        try:
            yield
        except OSError as error:
            raise self._unwritable(error) from error
        except BadInput as error:
            if isinstance(error.__cause__, OSError):
                raise self._unwritable(error.__cause__) from error
            raise

    def _make_room(self, need: int) -> None:
        """Take away what was unused for longest until so many bytes more are within the limit."""
        folder = self.root / "sums"
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_HIDDEN}*"):  # of who was killed: nobody else writes now
            shutil.rmtree(left)
        entries = [(path.stat().st_mtime_ns, path, _bytes_in(path)) for path in folder.iterdir()]
        total = sum(size for _, _, size in entries)
        for _, path, size in sorted(entries):
            if total + need > self.limit and self._removed(path):
                total -= size
        if total + need > self.limit:
            raise CacheTrouble(
                f"the sum takes {need / 1e6:,.1f} MB, and of the {self.limit / 1e6:,.1f} MB that "
                f"the server keeps of sums {total / 1e6:,.1f} MB are in use"
            )

    def _removed(self, path: Path) -> bool:
        """Take an entry away, and its lock's file; not one that is in use."""
        try:
            handle = self._locked(path.name, shared=False, wait=False)
        except BlockingIOError:
            return False
        try:
            aside = path.with_name(f"{_HIDDEN}{path.name}.old")
            path.rename(aside)  # at once: half an entry is never seen under its name
            shutil.rmtree(aside)
            self._lock_file(path.name).unlink()
        finally:
            _unlock(handle)
        return True

    def _lock_file(self, key: str) -> Path:
        return self.root / "locks" / f"{key}.lock"

    def _locked(self, key: str, *, shared: bool, wait: bool = True) -> int:
        """Lock a key and give the handle; raises BlockingIOError where it would have to wait."""
        import fcntl  # where servers run; Windows has none

        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        path = self._lock_file(key)
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT)
            except OSError as error:
                raise self._unwritable(error) from error
            try:
                fcntl.flock(handle, how)
                if _is_at(handle, path):
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def _unwritable(self, error: OSError) -> CacheTrouble:
        why = error.strerror or str(error)
        return CacheTrouble(f"the server's folder of sums cannot be written: {why}")


def _unlock(handle: int) -> None:
    """Let go of a lock, also where a child process has the handle too."""
    import fcntl

    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
