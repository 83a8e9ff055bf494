"""What lies on a library's shelves beside plain adapters is told, and left where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.library.making import BASE, SHAPES, random_factors, write_factors

import superpose
from superpose.adapter import Adapter, Delta, Part, Replacement, Stored
from superpose.errors import BadInput
from superpose.library.dupes import duplicates
from superpose.library.lineage import lineage_of, start_cosine
from superpose.library.opened import open_library
from superpose.shown import Line, Table

NORM = "model.norm.weight"


def adapter(number: int, *modules: str, stored: bool = False) -> Adapter:
    """The adapter of that number, or some modules of it, with a norm of its own or without."""
    factors = random_factors(number)
    own = {name: Delta.of(*factors[name]) for name in modules or factors}
    norm = Replacement((Part(1.0, Stored(np.full(20, 2.0, np.float32))),), NORM, owner="model.norm")
    kept = {NORM: norm} if stored else {}
    return Adapter(own, f"own-{number}", BASE, replacements=kept)


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of adapters of two models of one name, of stored tensors, of heads, too large."""
    top = tmp_path_factory.mktemp("shelves") / "all"
    for number in range(3):
        write_factors(top / f"own-{number}", random_factors(number))
    rng = np.random.default_rng(0)
    wide = {
        name: (rng.random((out + 1, 2)), rng.random((2, i))) for name, (out, i) in SHAPES.items()
    }
    write_factors(top / "wide", wide)
    write_factors(top / "head", {"score": (rng.random((3, 2)), rng.random((2, 20)))})
    superpose.save(adapter(5, stored=True), top / "norm")
    large = {name: (1e200 * B, 1e200 * A) for name, (B, A) in wide.items()}
    write_factors(top / "large", large, dtype="float64", base="org/large")
    superpose.index(top, top / "library.index")
    return top / "library.index"


def test_models_of_one_name_and_other_shapes_are_two_bases(shelves: Path) -> None:
    library = open_library(shelves)
    assert {name: len(of) for name, of in library.bases.items()} == {BASE: 4, f"{BASE} (2)": 1}
    assert open_library(shelves, f"{BASE} (2)").names == ("wide",)
    with pytest.raises(BadInput, match="holds no base model `org/none`") as refused:
        open_library(shelves, "org/none")
    assert BASE in str(refused.value)


def test_what_cannot_be_compared_is_left_out_with_its_reason(shelves: Path) -> None:
    told = {one.name: str(one.problem) for one in open_library(shelves).problems}
    assert set(told) == {"head", "large"}
    assert "has no delta below a head: there is nothing to compare" in told["head"]
    assert "float64" in told["large"]
    with pytest.raises(BadInput, match=r"is left out of .*: .*nothing to compare"):
        superpose.near("head", shelves)


def test_an_index_is_no_adapter_of_the_folder_that_it_lies_in(shelves: Path) -> None:
    before = open_library(shelves).names
    superpose.index(shelves.parent, shelves)
    assert open_library(shelves).names == before


def test_nothing_to_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to index was named"):
        superpose.index([], tmp_path / "i")
    assert not (tmp_path / "i").exists()


def test_a_name_of_the_hub_that_is_not_in_the_library_is_nowhere_in_it(shelves: Path) -> None:
    assert open_library(shelves).position("org/elsewhere") is None


def test_what_an_adapter_stores_is_told_beside_its_parents(shelves: Path) -> None:
    merged = superpose.exact_sum(
        [adapter(0), adapter(1), adapter(5, stored=True)], [0.5, -1.0, 1.0]
    )
    found = superpose.unmix(merged, shelves)
    assert {one.name for one in found.parents} == {"own-0", "own-1", "norm"}
    table, *lines = found.shown()
    assert isinstance(table, Table)
    said = [line.text for line in lines if isinstance(line, Line)]
    assert said[-1] == "It also holds 1 tensor whole, in none of this."
    assert any(text.startswith("to ") and "of its energy." in text for text in said)


def test_a_target_of_some_modules_is_no_sum_of_parents_that_have_more(shelves: Path) -> None:
    """What a parent changes beside the target counts against it."""
    few = list(SHAPES)[:2]
    part = superpose.unmix(adapter(0, *few), shelves)
    assert not part.complete
    zero = {name: Delta.of(0 * B, A) for name, (B, A) in random_factors(1).items()}
    zeroed = Adapter({**zero, **adapter(0, *few).deltas}, "zeroed", BASE)
    again = superpose.unmix(zeroed, shelves)
    assert [one.name for one in again.parents] == [one.name for one in part.parents]
    assert again.explained == pytest.approx(part.explained, rel=1e-6)


def test_who_waits_is_told_of_runs_and_of_copies(tmp_path: Path) -> None:
    for step in (100, 200):
        write_factors(tmp_path / "run" / f"checkpoint-{step}", random_factors(0, size=1.0))
    superpose.index(tmp_path / "run", tmp_path / "i")
    library = open_library(tmp_path / "i")
    for ask, does in ((lineage_of, "order runs"), (duplicates, "compare checkpoint-")):
        told: list[tuple[float, float | None, str]] = []
        ask(library, progress=lambda *said, told=told: told.append(said))
        assert [(done, of) for done, of, _ in told] == [(0, 1)]
        assert told[0][2].startswith(does)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_sketches_of_other_numbers_are_refused_by_their_column(
    tmp_path: Path, value: float
) -> None:
    for number in range(2):
        write_factors(tmp_path / "all" / str(number), random_factors(number))
    superpose.index(tmp_path / "all", tmp_path / "i")
    table = tmp_path / "i" / "adapters.parquet"
    held = pq.ParquetFile(table).read()
    at = held.schema.get_field_index("sketch")
    rows = [list(row) for row in held["sketch"].to_pylist()]
    rows[1][3] = value
    field = held.schema.field(at)
    pq.write_table(held.set_column(at, field, pa.array(rows, field.type)), table)
    with pytest.raises(BadInput, match="other numbers than those of vectors of length 1"):
        superpose.near("0", tmp_path / "i")


def test_a_name_of_the_hub_that_cannot_be_fetched_is_listed_with_its_reason(
    tmp_path: Path,
) -> None:
    write_factors(tmp_path / "here", random_factors(0))
    for _ in range(2):  # looked at again
        superpose.index([tmp_path / "here", "org/not-here"], tmp_path / "i")
        library = open_library(tmp_path / "i")
        assert library.names == ("here",)
        (left_out,) = library.problems
        assert left_out.name == "org/not-here"
        assert "not-here" in left_out.problem


def test_modules_of_other_shapes_have_no_start_in_common() -> None:
    one = adapter(0)
    first = next(iter(SHAPES))
    wide = Adapter({**one, first: Delta.of(*random_factors(0, rank=5)[first])}, "wide", BASE)
    assert start_cosine(one, wide) == pytest.approx(1.0)
    alone = Adapter({first: wide[first]}, "alone", BASE)
    assert start_cosine(one, alone) == 0.0
