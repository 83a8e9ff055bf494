"""All pairs of an index on any number of workers; an index has one writer at a time."""

from __future__ import annotations

import importlib.util
import json
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from tests.library.making import random_factors, write_factors

import superpose as library
from superpose.errors import BadInput, BadSetting
from superpose.executor.locks import locked_file
from superpose.library import indexing, pairs
from superpose.library.opened import open_library

if TYPE_CHECKING:
    from tests.conftest import Superpose


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    """An index of two base models."""
    for number in range(9):
        base = "org/other" if number > 5 else "org/tiny-llama"
        write_factors(tmp_path / "all" / f"a{number}", random_factors(number), base=base)
    library.index(tmp_path / "all", tmp_path / "library.index")
    return tmp_path / "library.index"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a block be of two adapters."""
    monkeypatch.setattr(pairs, "BLOCK_BYTES", 7_000)


def _figures(index: Path) -> Mapping[str, Any]:
    return {path.name: pq.read_table(path).to_pydict() for path in (index / "pairs").iterdir()}


PLACES = {
    "two processes": {"workers": 2},
    "Slurm's jobs, tried here": {"executor": "slurm", "slurm": {"cluster": "local"}, "workers": 2},
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("place", PLACES)
def test_workers_leave_the_files_that_one_process_leaves_of_all_bases(
    indexed: Path, place: str
) -> None:
    if place != "two processes" and importlib.util.find_spec("submitit") is None:
        pytest.skip("submitit is not installed: pip install 'superpose[slurm]'")
    right = library.check(index=indexed)
    files = _figures(indexed)
    assert len(files) == 6 + 3
    shutil.rmtree(indexed / "pairs")
    told: list[float] = []
    found = library.check(
        index=indexed,
        execution=library.Execution(**PLACES[place]),  # type: ignore[arg-type]
        progress=lambda done, total, what: told.append(done),
    )
    again = _figures(indexed)
    assert again.keys() == files.keys()
    for name, columns in again.items():  # alignment may turn a last bit
        for column, values in columns.items():
            assert values == pytest.approx(files[name][column], abs=1e-6)
    assert (told[0], told[-1]) == (0, len(files))
    assert found.to_json() == right.to_json()


def test_the_command_takes_workers_and_tells_how_far_they_are(
    indexed: Path, superpose: Superpose
) -> None:
    ended = superpose("check", "--index", indexed, "--workers", 2, "--json")
    assert ended.returncode == 0, ended.stderr
    assert [one["base"] for one in json.loads(ended.stdout)["bases"]] == [
        "org/tiny-llama", "org/other"
    ]  # fmt: skip
    told = json.loads(superpose("check", "--index", indexed, "--status", "--json").stdout)
    assert (told["tasks"], told["done"], told["workers"]) == (2, 2, 2)
    assert told["failed"] == []


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--executor", "slurm"], 3, "start munged, slurmctld and slurmd|superpose[slurm]"),
        (["--executor", "dask"], 2, "--executor: `dask` is none of local, slurm and ray"),
        (["--workers", "0"], 2, "--workers: 0 is below 1"),
        (["--slurm", "time=3"], 2, "goes with --executor slurm, not with local"),
        (["--base", "smollm2"], 2, "--index: takes no --base beside it"),
        (["--heads", "none"], 2, "--index: takes no --heads beside it"),
        (["--same-base"], 2, "--index: takes no --same-base beside it"),
        (["a", "b"], 2, "--index: takes no adapters beside it"),
    ],
)
def test_what_cannot_be_meant_beside_an_index_is_refused_by_name(
    indexed: Path,
    superpose: Superpose,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(indexed / "no such file"))
    ended = superpose("check", "--index", indexed, *options)
    assert ended.returncode == code, ended.stderr
    assert any(each in ended.stderr for each in said.split("|"))


@pytest.mark.parametrize("option", ["--workers=2", "--executor=ray", "--status", "--slurm=a=b"])
def test_what_goes_with_an_index_alone_is_refused_beside_adapters(
    superpose: Superpose, option: str
) -> None:
    ended = superpose("check", "a", "b", option)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {option.partition('=')[0]}: goes with --index")
    with pytest.raises(BadSetting, match="goes with one"):
        library.check(["a", "b"], execution=library.Execution())  # type: ignore[call-overload]


def test_an_index_has_one_writer_at_a_time_and_the_next_one_goes_on(
    indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_factors(tmp_path / "first", random_factors(20))
    write_factors(tmp_path / "second", random_factors(21))
    reached, go_on = threading.Event(), threading.Event()
    load = indexing.load

    def slow(name: str, **options: Any) -> object:
        reached.set()
        assert go_on.wait(60)
        return load(name, **options)

    monkeypatch.setattr(indexing, "load", slow)
    writer = threading.Thread(target=library.index, args=(tmp_path / "first", indexed))
    writer.start()
    assert reached.wait(60)
    questions = [
        lambda: library.index(tmp_path / "second", indexed),
        lambda: library.check(index=indexed),
    ]
    for ask in questions:
        with pytest.raises(BadInput, match="another process is at work on this index"):
            ask()
    assert library.near("a0", indexed).found  # who only reads is not kept from it
    go_on.set()
    writer.join()
    library.index(tmp_path / "second", indexed)
    names = {entry.name for entry in open_library(indexed).entries}
    assert {"first", "second"} <= names


def test_an_index_whose_pairs_are_all_there_is_read_alone(indexed: Path) -> None:
    """As by one who may not write there, or while another does."""
    right = library.check(index=indexed)
    (indexed / ".executor").rename(indexed / "begun")
    with locked_file(indexed / ".lock"):
        assert library.check(index=indexed).to_json() == right.to_json()
    assert not (indexed / ".executor").exists()


def test_a_run_that_was_killed_before_it_wrote_anything_is_in_nobodys_way(tmp_path: Path) -> None:
    write_factors(tmp_path / "a", random_factors(1))
    out = tmp_path / "library.index"
    out.mkdir()
    with locked_file(out / ".lock"):
        pass
    assert library.index(tmp_path / "a", out).counts == {"new": 1}
