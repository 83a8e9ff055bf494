"""Finished sums lie within a limit; the longest unused go first, and none that is in use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from superpose.errors import BadInput
from superpose.files import new_folder
from superpose.serving.sum_cache import CacheTrouble, Hold, SumCache

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 100


def writing(size: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with new_folder(path) as folder:
            (folder / "weights").write_bytes(b"x" * size)

    return write


def take(cache: SumCache, key: str, size: int = 40) -> Hold:
    return cache.hold(key, lambda: size, writing(size))


def used(cache: SumCache, *keys: str) -> None:
    """Make entries, and let go of them, so that the first was used first."""
    for age, key in enumerate(keys):
        held = take(cache, key)
        held.release()
        os.utime(held.path, (1000 + age, 1000 + age))


def kept(cache: SumCache) -> set[str]:
    return {path.name for path in (cache.root / "sums").iterdir()}


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    cache = SumCache(tmp_path, LIMIT)
    used(cache, "a", "b")
    take(cache, "a").release()  # used now
    take(cache, "c").release()
    assert kept(cache) == {"a", "c"}
    assert {p.name for p in (tmp_path / "locks").iterdir()} == {"a.lock", "c.lock", ".room.lock"}


def test_what_is_in_use_stays_and_the_new_one_is_refused_until_it_is_let_go(
    tmp_path: Path,
) -> None:
    cache = SumCache(tmp_path, LIMIT)
    a, b = take(cache, "a"), take(cache, "b")
    with pytest.raises(CacheTrouble, match=r"keeps of sums 0\.0 MB are in use"):
        take(cache, "c")
    assert a.path.is_dir()
    assert b.path.is_dir()
    again = take(cache, "a")
    a.release()
    with pytest.raises(CacheTrouble):
        take(cache, "c")  # somebody else uses it still
    again.release()
    take(cache, "c")
    assert kept(cache) == {"b", "c"}


def test_a_sum_larger_than_the_limit_takes_nothing_away(tmp_path: Path) -> None:
    cache = SumCache(tmp_path, LIMIT)
    used(cache, "a", "b")
    with pytest.raises(CacheTrouble, match="the server keeps"):
        take(cache, "c", LIMIT + 1)
    assert kept(cache) == {"a", "b"}


def test_what_another_process_uses_stays_until_that_process_dies(tmp_path: Path) -> None:
    cache = SumCache(tmp_path, LIMIT)
    used(cache, "a", "b")
    program = (
        "import sys; from pathlib import Path; from superpose.serving.sum_cache import SumCache;"
        "SumCache(Path(sys.argv[1]), 100).hold('a', lambda: 0, print);"
        "print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    os.utime(cache.root / "sums/a", (0, 0))
    take(cache, "c").release()
    assert kept(cache) == {"a", "c"}
    other.kill()
    other.communicate()
    os.utime(cache.root / "sums/a", (0, 0))
    take(cache, "d").release()
    assert kept(cache) == {"c", "d"}


def test_what_a_killed_process_left_is_taken_away_and_never_served(tmp_path: Path) -> None:
    cache = SumCache(tmp_path, LIMIT)
    used(cache, "a")
    for left in (".b.1234.part", ".c.old"):
        (tmp_path / "sums" / left).mkdir()
    take(cache, "d").release()
    assert kept(cache) == {"a", "d"}


def test_what_fails_leaves_nothing_and_the_next_may_try(tmp_path: Path) -> None:
    cache = SumCache(tmp_path, LIMIT)

    def full(path: Path) -> None:
        with new_folder(path) as folder:
            (folder / "weights").write_bytes(b"x")
            raise OSError(28, "No space left on device")

    def wrong(path: Path) -> None:
        raise BadInput("a value is too large")

    with pytest.raises(CacheTrouble, match="cannot be written: No space left on device"):
        cache.hold("a", lambda: 1, full)
    with pytest.raises(BadInput, match="a value is too large"):
        cache.hold("a", lambda: 1, wrong)
    assert kept(cache) == set()
    assert take(cache, "a").made


def test_who_asks_while_a_sum_is_made_does_not_wait_until_it_is_no_longer_used(
    tmp_path: Path,
) -> None:
    """The second looks before there is one; the first then makes it and keeps it, for days."""
    asked, made = Event(), Event()

    class SlowCache(SumCache):
        def _locked(self, key: str, *, shared: bool, wait: bool = True) -> int:
            if not shared and current_thread() is second:
                asked.set()
                assert made.wait(20)
            return super()._locked(key, shared=shared, wait=wait)

    found: list[Hold] = []
    cache = SlowCache(tmp_path, LIMIT)
    second = Thread(target=lambda: found.append(take(cache, "a")), daemon=True)
    second.start()
    assert asked.wait(20)
    first = take(cache, "a")
    made.set()
    second.join(20)
    assert [(hold.path, hold.made) for hold in found] == [(first.path, False)]


def test_nothing_is_left_of_the_making_of_what_is_made(tmp_path: Path) -> None:
    take(SumCache(tmp_path, LIMIT), "a").release()
    assert {p.name for p in (tmp_path / "locks").iterdir()} == {"a.lock", ".room.lock"}


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=12))
def test_the_limit_holds_and_nothing_in_use_is_lost(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, bool]]
) -> None:
    cache = SumCache(tmp_path_factory.mktemp("cache"), LIMIT)
    held: list[Hold] = []
    for key, keep in asked:
        try:
            one = take(cache, key, 30)
        except CacheTrouble:
            assert len({h.path for h in held}) == 3
            continue
        held += [one] if keep else []
        if not keep:
            one.release()
        assert all(h.path.is_dir() for h in held)
        assert 30 * len(kept(cache)) <= LIMIT
    for one in held:
        one.release()
