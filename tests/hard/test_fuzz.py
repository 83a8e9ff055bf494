"""The fuzz run finds what is wrong, and a short one finds nothing here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.hard import fuzz
from tests.hard.conftest import SEED, TRIALS
from tests.hard.corpus import CORPUS, READERS

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("reader", READERS)
def test_each_file_of_the_corpus_is_read_as_it_is(reader: str) -> None:
    name, read = READERS[reader]
    read(CORPUS / name)


def test_only_errors_of_superpose_come_out_of_changed_files(tmp_path: Path) -> None:
    found = fuzz.fuzzed(SEED, range(40 * TRIALS), tmp_path)
    assert found.total() == 40 * TRIALS
    assert found.wrong == 0, [path.read_text() for path in tmp_path.glob("*.txt")]
    assert all(found[f"{reader}: refused"] for reader in READERS)
    assert any(found[f"{reader}: read"] for reader in READERS)  # changes that do no harm


def crash(path: Path) -> None:
    raise ValueError(path)


def loop(path: Path) -> None:
    while True:
        pass


def hog(path: Path) -> None:
    bytearray(1 << 33)


def die(path: Path) -> None:
    import os

    os.abort()


def warn(path: Path) -> None:
    import numpy as np

    np.float64(1e300) * np.float64(1e300)


@pytest.mark.parametrize("reader", [crash, loop, hog, die, warn])
def test_what_is_wrong_is_found_and_kept(
    reader: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "READERS", {"it": ("weights.json", reader)})
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    found = fuzz.fuzzed(SEED, range(2), tmp_path)
    assert found == {"it: WRONG": 2}
    assert (tmp_path / "0.txt").read_text()
    assert (tmp_path / "1.input/weights.json").exists()


def test_an_input_is_the_same_again(tmp_path: Path) -> None:
    for number in range(20):
        for place in ("a", "b"):
            fuzz.input_of(SEED, number, tmp_path / place)
        files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
        assert files
        for path in files:
            other = tmp_path / "b" / path.relative_to(tmp_path / "a")
            assert path.read_bytes() == other.read_bytes()
