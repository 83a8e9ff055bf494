"""An index knows what lies below its folders, once, and says what it leaves out."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.library.making import dense, random_factors, write_factors

import superpose
from superpose.errors import BadInput
from superpose.interference import check
from superpose.library import indexing
from superpose.library.finding import content_of
from superpose.library.opened import open_library
from superpose.library.pairs import all_pairs, block_pair, blocks_of


@pytest.fixture(scope="module")
def indexed(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("indexed") / "library.index"
    superpose.index(shelf, out)
    return out


def test_what_is_below_a_folder_is_there_and_what_cannot_be_read_has_its_reason(
    shelf: Path, indexed: Path
) -> None:
    found = superpose.index([shelf], indexed)
    assert found.bases == {"org/tiny-llama": 15, "org/other": 1}
    (broken,) = found.to_json()["problems"]
    assert broken["name"] == "broken"
    assert "adapter_model.safetensors" in broken["problem"]
    assert found.counts == {"unchanged": 16, "damaged": 1}
    for one in found.to_json()["entries"]:  # as `info --json` has them
        own = [] if one["dtypes"] is None else superpose.info(one["path"]).to_json()["dtypes"]
        assert one["dtypes"] == (None if one["problem"] else list(own))


def test_the_table_is_read_without_superpose_and_holds_the_dense_figures(indexed: Path) -> None:
    rows = pq.ParquetFile(indexed / "adapters.parquet").read().to_pylist()
    row = next(row for row in rows if row["name"] == "own-1")
    assert row["norm"] == pytest.approx(np.linalg.norm(dense(random_factors(1, 3))), rel=1e-6)
    for module in row["modules"]:
        B, A = (x.astype(float) for x in random_factors(1, 3)[module["module"]])
        truth = np.linalg.svd(B @ A, compute_uv=False)[:3]
        assert module["sizes"] == pytest.approx(truth, rel=1e-6)


def test_only_what_is_new_or_changed_is_read(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top, out = tmp_path / "shelf", tmp_path / "library.index"
    shutil.copytree(shelf, top)
    superpose.index(top, out)
    read: list[str] = []
    load = indexing.load
    monkeypatch.setattr(
        indexing, "load", lambda n, **o: (read.append(Path(n).name), load(n, **o))[1]
    )
    write_factors(top / "newcomer", random_factors(70))
    write_factors(top / "own-3", random_factors(71))
    (top / "own-4").rename(top / "renamed")
    shutil.rmtree(top / "own-5")
    found = superpose.index([], out)
    assert read == ["broken", "newcomer", "own-3"]
    assert found.counts == {
        "new": 1, "changed": 1, "moved": 1, "gone": 2, "damaged": 1, "unchanged": 13
    }  # fmt: skip
    library = open_library(out)
    for entry in library.entries:
        assert entry.content == content_of(Path(entry.given)), entry.name
    names = {entry.name for entry in library.entries}
    assert "renamed" in names
    assert names.isdisjoint({"own-4", "own-5"})


def test_a_run_that_was_ended_goes_on_where_it_stood(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it then holds is, but for times, what an undisturbed run holds."""
    out, whole = tmp_path / "library.index", tmp_path / "whole.index"
    superpose.index(shelf, whole)
    monkeypatch.setattr(indexing, "_A_PART", 4)
    load, read = indexing.load, []

    def ended(name: str, **options: object) -> object:
        if len(read) == 9:
            raise KeyboardInterrupt
        read.append(name)
        return load(name, **options)

    monkeypatch.setattr(indexing, "load", ended)
    with pytest.raises(KeyboardInterrupt):
        superpose.index(shelf, out)
    with pytest.raises(BadInput, match="was not finished"):
        open_library(out)
    read = []
    monkeypatch.setattr(indexing, "load", lambda n, **o: (read.append(n), load(n, **o))[1])
    superpose.index([], out)
    assert len(read) == 10  # of 17: seven of the first run were kept, and one is damaged
    columns = ["number", "name", "norm", "sketch", "modules", "problem"]
    ours, theirs = (
        pq.ParquetFile(one / "adapters.parquet").read(columns).to_pylist() for one in (out, whole)
    )
    assert ours == theirs
    assert list((out / "parts").iterdir()) == []


def test_files_that_call_their_modules_otherwise_are_one_library(tmp_path: Path) -> None:
    factors = random_factors(5)
    write_factors(tmp_path / "a" / "plain", factors)
    write_factors(tmp_path / "a" / "other", factors, prefix="base_model.model.base_model.model.")
    bare = {name.removeprefix("model."): both for name, both in factors.items()}
    write_factors(tmp_path / "a" / "bare", bare)
    superpose.index(tmp_path / "a", tmp_path / "i")
    library = open_library(tmp_path / "i")
    assert list(library.bases) == ["org/tiny-llama"]
    assert all_pairs(library, "org/tiny-llama").cosine == pytest.approx(1.0, abs=1e-6)
    assert np.ptp(library.sketches, axis=0).max() < 1e-6


def test_all_pairs_by_blocks_are_those_of_the_dense_deltas(
    indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_library(indexed)
    base = "org/tiny-llama"
    monkeypatch.setattr("superpose.library.pairs.BLOCK_BYTES", 12_000)
    blocks = blocks_of(library, base)
    assert len(blocks) > 3
    assert block_pair(indexed, base, 0, 1) == block_pair(indexed, base, 0, 1)
    found = all_pairs(library, base)
    members = library.bases[base]
    assert [at for block in blocks for at in block] == members
    vectors = [library.adapter(at) for at in members]
    for i, a in enumerate(vectors):
        for j, b in enumerate(vectors):
            if i < j and not i % 5:
                (pair,) = check([a, b], same_base=True).pairs
                assert found.floor[i, j] == pytest.approx(pair.cosine_floor, rel=1e-6)
                assert found.rms_cosine[i, j] == pytest.approx(pair.rms_cosine, abs=2e-6)
            assert found.cosine[i, j] == pytest.approx(a.cosine(b), abs=2e-6)
    files = {path.name for path in (indexed / "pairs").iterdir()}
    assert len(files) == len(blocks) * (len(blocks) + 1) // 2

    (indexed / "pairs" / max(files)).unlink()
    (indexed / "pairs" / min(files)).unlink()
    told: list[float] = []
    two = superpose.Execution(workers=2)
    again = all_pairs(library, base, lambda done, *_: told.append(done), two)
    assert {path.name for path in (indexed / "pairs").iterdir()} == files
    for one, other in zip(found, again, strict=True):  # threads and alignment may turn a last bit
        assert np.allclose(one, other, rtol=1e-6, atol=1e-7, equal_nan=True)
    assert told == [len(files) - 2, len(files) - 1, len(files)]


def test_neighbours_are_the_nearest_and_their_figures_exact(shelf: Path, indexed: Path) -> None:
    found = superpose.near("checkpoint-200", indexed, most=3)
    assert {one.name for one in found.found} == {"checkpoint-100", "checkpoint-300", "run"}
    a = superpose.load(shelf / "run" / "checkpoint-200")
    for one in found.found:
        b = superpose.load(one.path)
        assert one.cosine == pytest.approx(a.cosine(b), abs=1e-9)
        assert one.difference == pytest.approx((a - one.scale * b).norm() / a.norm(), abs=1e-9)
    outside = superpose.near(superpose.load(shelf / "run" / "checkpoint-200"), indexed, most=1)
    assert outside.found[0].name == "checkpoint-200"


def test_copies_are_found_whatever_their_files_hold_and_the_most_precise_is_kept(
    indexed: Path,
) -> None:
    found = superpose.dupes(indexed)
    (group,) = found.groups
    assert {group.keep, *(one.name for one in group.copies)} == {
        "own-0", "halves", "scaled", "split"
    }  # fmt: skip
    assert group.keep != "halves"
    (scaled,) = [one for one in group.copies if one.name == "scaled"] or [None]
    if scaled is not None:
        assert scaled.scale == pytest.approx(-0.4, rel=1e-6)
        assert scaled.difference < 1e-6
    assert superpose.dupes(indexed, tolerance=1e-4).groups[0].copies[0].difference < 1e-4


def test_an_adapter_of_a_base_that_the_library_does_not_have_is_refused(
    tmp_path: Path, indexed: Path
) -> None:
    stranger = write_factors(tmp_path / "stranger", random_factors(1), base="org/third")
    with pytest.raises(superpose.errors.DifferentBase, match="no adapter of this library"):
        superpose.near(stranger, indexed)


def test_an_index_of_another_version_is_refused_with_a_way_out(
    shelf: Path, indexed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "old.index"
    shutil.copytree(indexed, out)
    manifest = out / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    for ask in (lambda: superpose.near("own-1", out), lambda: superpose.index(shelf, out)):
        with pytest.raises(BadInput, match="format 99") as refused:
            ask()
        assert "superpose index" in (refused.value.hint or "")


def test_a_folder_that_vanished_or_changed_since_is_said(shelf: Path, tmp_path: Path) -> None:
    top, out = tmp_path / "shelf", tmp_path / "library.index"
    for name in ("own-1", "own-2", "own-3"):
        shutil.copytree(shelf / name, top / name)
    superpose.index(top, out)
    shutil.rmtree(top / "own-2")
    with pytest.raises(BadInput, match="vanished since it was indexed") as refused:
        superpose.near("own-1", out)
    assert "superpose index -o" in (refused.value.hint or "")
    assert superpose.index([], out).counts["gone"] == 1
    assert [one.name for one in superpose.near("own-1", out).found] == ["own-3"]
    superpose.index(shelf / "own-4", out)
    top.rename(tmp_path / "elsewhere")
    assert superpose.index([], out).counts["gone"] == 3
    (tmp_path / "elsewhere").rename(top)
    assert superpose.index([], out).counts == {"changed": 2, "unchanged": 1, "gone": 1}
    write_factors(top / "own-3", random_factors(99))
    with pytest.raises(BadInput, match="was changed since it was indexed"):
        superpose.near("own-1", out)


def test_an_index_whose_adapters_are_all_gone_says_so_to_every_question(
    shelf: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "one"
    name = sorted(path.name for path in shelf.iterdir() if path.is_dir())[0]
    shutil.copytree(shelf / name, copied / name)
    index = tmp_path / "gone.index"
    superpose.index(copied, index)
    shutil.rmtree(copied / name)
    superpose.index(copied, index)
    asked: list[Callable[[], object]] = [
        lambda: superpose.dupes(index),
        lambda: superpose.lineage(index),
        lambda: superpose.near(str(shelf / name), index),
        lambda: superpose.unmix(str(shelf / name), index),
        lambda: superpose.check(index=index),
    ]
    for ask in asked:
        with pytest.raises(BadInput, match=f"has no adapter that can be used: .*{name}"):
            ask()


def test_a_name_given_twice_is_one_and_names_that_are_alike_are_told_apart(
    shelf: Path, tmp_path: Path
) -> None:
    for run in ("x", "y"):
        shutil.copytree(shelf / "own-1", tmp_path / run / "best")
    found = superpose.index([tmp_path / "x", tmp_path / "y", tmp_path / "x"], tmp_path / "i")
    assert found.bases == {"org/tiny-llama": 2}
    library = open_library(tmp_path / "i")
    assert len(set(library.names)) == 2
    assert library.position(str(tmp_path / "y" / "best")) == 1
    with pytest.raises(BadInput, match="what 2 adapters") as refused:
        superpose.near("best", tmp_path / "i")
    (place, *_) = re.findall(r"/\S+best", refused.value.hint or "")
    assert superpose.near(place, tmp_path / "i").found[0].cosine == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["runs/typo", "./nothing", "a b/c", "nothing", "/no/such"])
def test_a_name_that_is_nothing_here_and_cannot_be_of_the_hub_is_refused(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(BadInput, match="no such folder or file"):
        superpose.index([shelf, name], tmp_path / "i")
    assert not (tmp_path / "i").exists()


def test_a_name_that_the_hub_does_not_give_is_listed_beside_the_others_and_ends_with_3(
    superpose: Any, hub: Any, shelf: Path, tmp_path: Path
) -> None:
    out = tmp_path / "library.index"
    found = superpose("index", shelf / "own-1", "org/nothing", "-o", out, "--json")
    assert found.returncode == 3, found.stderr
    assert "org/nothing: could not be brought" in found.stderr
    told = json.loads(found.stdout)
    assert (told["adapter_count"], told["missing"]) == (1, ["org/nothing"])
    assert [one["name"] for one in told["problems"]] == ["org/nothing"]
    assert superpose("index", "-o", out).returncode == 0


def test_pairs_of_adapters_that_are_no_more_leave_no_file(shelf: Path, tmp_path: Path) -> None:
    top, out = tmp_path / "shelf", tmp_path / "library.index"
    for name in ("own-1", "own-2", "own-3", "elsewhere"):
        shutil.copytree(shelf / name, top / name)
    superpose.index(top, out)
    superpose.check(index=out)
    before = {path.name for path in (out / "pairs").iterdir()}
    assert len(before) == 2
    shutil.rmtree(top / "own-2")
    superpose.index([], out)
    superpose.check(index=out)
    after = {path.name for path in (out / "pairs").iterdir()}
    assert len(after) == 2
    assert len(before & after) == 1  # of the other base model


def test_check_of_an_index_tells_clusters_and_the_worst_pairs_as_check_does_of_two(
    indexed: Path,
) -> None:
    found = superpose.check(index=indexed)
    first, other = found.bases
    assert (first.base, other.base) == ("org/tiny-llama", "org/other")
    told = found.to_json()["bases"][0]
    assert {"own-0", "halves", "scaled", "split"} in [set(one) for one in told["clusters"]]
    assert {"checkpoint-100", "checkpoint-200", "checkpoint-300", "run"} in [
        set(one) for one in told["clusters"]
    ]
    assert {pair["verdict"] for pair in told["pairs"][:6]} <= {
        "the same adapter", "a scaled copy", "a negated copy"
    }  # fmt: skip
    assert len(found.shown()) < 60
    with pytest.raises(BadInput, match="index"):
        superpose.check(["own-1"], index=indexed)
