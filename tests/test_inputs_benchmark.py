"""What regmean needs of the inputs: what is registered is asked, and a small field is asked."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from benchmarks.methods import judge_inputs, page, records
from benchmarks.methods.beside import scored
from benchmarks.methods.comparing import compared
from benchmarks.methods.inputs import ask_missing, taken_apart
from benchmarks.methods.judge import again
from benchmarks.methods.measured_inputs import MeasuredOnce, joined_moments
from benchmarks.methods.page_inputs import BOUNDS, HALF, SECTIONS, inputs_section
from benchmarks.methods.resampled import Resampled
from benchmarks.methods.rows import Cell, Rows
from benchmarks.methods.ways import (
    CONDITION,
    REFERENCE,
    WAYS_OF_INPUTS,
    InputsOn,
    InputsWay,
    inputs_on,
)
from benchmarks.prediction.adapters import trained
from benchmarks.prediction.field import Field
from benchmarks.second.settings import SECOND, SOURCES
from tests.inputs_recomputed import check_record
from tests.small_field import PLAYED, small_field

from superpose.compose import RegMean, merge
from superpose.measure.inputs import measure_inputs
from superpose.model import SuperposedModel

ASKED = {
    "plus": "{} plus 3?",
    "halves": "Half of {}?",
    "dimes": "How many cents are {} dimes?",
    "after": "What comes after {}?",
}


@pytest.fixture(scope="module", params=PLAYED)
def field(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Field:
    """Four small domains whose adapters are trained, and every way asked of them."""
    found = small_field(tmp_path_factory.mktemp("inputs"), tiny_base, ASKED)
    with found.claimed():
        ask_missing(found)
    return found


@pytest.fixture
def judged(field: Field, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of a record of it."""
    monkeypatch.setattr(records, "ARENA", tmp_path / "methods.json")
    monkeypatch.setattr(records, "INPUTS", tmp_path / "inputs.json")
    for module in ("judge", "judge_inputs"):
        monkeypatch.setattr(f"benchmarks.methods.{module}.INPUT_ROWS", tmp_path / "inputs.npz")
    written = tmp_path / "methods.md", tmp_path / "README.md"
    monkeypatch.setattr(page.write_page, "__defaults__", written)
    judge_inputs.judge_inputs(field)
    return tmp_path


def _triple(field: Field) -> tuple[str, ...]:
    return next(each.domains for each in inputs_on(field) if len(each.domains) == 3)


def test_three_triples_of_three_seeds_and_the_sum_of_six_are_asked_as_registered() -> None:
    every = inputs_on(Field("nowhere", tournament=SECOND, sources=SOURCES))
    sums = Counter((each.seed, each.domains) for each in every)
    triples = [each for each in sums if len(each[1]) == 3]
    assert [seed for seed, _ in triples] == [0, 1, 2]
    assert len({domains for _, domains in triples}) == 3
    assert [sums[each] for each in triples] == 3 * [len(WAYS_OF_INPUTS)]
    assert sums[0, tuple(SOURCES)] == 9
    assert len({each.file for each in every}) == len(every) == 78


def test_every_way_is_in_the_registration_and_on_the_page() -> None:
    text = (Path(page.__file__).parent / "REGISTERED-INPUTS.md").read_text(encoding="utf-8")
    shown = {way for section in SECTIONS.values() for way in section}
    assert shown | {"own", "sum"} == set(WAYS_OF_INPUTS)
    assert {way for way, *_ in BOUNDS} | set(HALF) <= shown
    assert all(f"`{way}`" in text for way in WAYS_OF_INPUTS)


def test_every_way_keeps_each_test_rows_loss(field: Field) -> None:
    for each in inputs_on(field):
        content = field.folder.read(each.file)
        assert isinstance(content, dict)
        assert set(content["nll"]) == set(each.domains)
        assert all(np.isfinite(nll).all() and len(nll) == 4 for nll in content["nll"].values())


def test_what_is_finished_is_not_asked_again_and_what_is_missing_comes_out_the_same(
    field: Field,
) -> None:
    kept, gone = (InputsOn(way, 0, _triple(field)) for way in ("own", "rows-4"))
    folder = field.folder.path
    before, stamp = field.folder.read(gone.file), (folder / kept.file).stat().st_mtime_ns
    (folder / gone.file).unlink()
    with field.claimed():
        ask_missing(field)
    again_asked = field.folder.read(gone.file)
    assert {**before, "seconds": 0} == {**again_asked, "seconds": 0}
    assert (folder / kept.file).stat().st_mtime_ns == stamp


def test_the_reference_is_regmean_of_the_arena(field: Field) -> None:
    """With the statistics that `measure_inputs` gives of the whole calibration rows."""
    domains = _triple(field)
    parents = [trained(field, "main", 0, name) for name in domains]
    modules = parents[0].modules
    statistics = tuple(
        measure_inputs(field.base.model, modules, field.examples(name, "calibration"))
        for name in domains
    )
    merged = merge(parents, None, RegMean(statistics, ridge=1e-3))
    found = scored(field, domains, [merged], [np.ones(1)] * 3)
    content = field.folder.read(InputsOn(REFERENCE, 0, domains).file)
    for name in domains:
        assert np.allclose(found["nll"][name], content["nll"][name], rtol=1e-4)


def test_moments_of_parts_joined_are_those_of_all_rows(field: Field) -> None:
    parent = trained(field, "main", 0, "plus")
    rows = field.examples("plus", "calibration")
    parts = [measure_inputs(field.base.model, parent.modules, r) for r in (rows[:1], rows[1:])]
    whole = measure_inputs(field.base.model, parent.modules, rows)
    joined = joined_moments(parts)
    assert (joined.rows, joined.tokens) == (whole.rows, whole.tokens)
    for module in parent.modules:
        assert np.allclose(joined[module].whole, whole[module].whole, rtol=1e-4, atol=1e-6)


def test_each_kind_of_inputs_is_what_it_is_called(field: Field) -> None:
    domains = _triple(field)
    parents = [trained(field, "main", 0, name) for name in domains]
    measured = MeasuredOnce(field)

    def of(way: str) -> list[np.ndarray]:
        found = measured.of(InputsOn(way, 0, domains), WAYS_OF_INPUTS[way], parents)
        return [np.asarray(each[parents[0].modules[-1]].whole) for each in found]

    model, modules = field.base.model, parents[0].modules
    rows = [field.examples(name, "calibration") for name in domains]
    alone = of(REFERENCE)
    assert np.allclose(of("swapped"), np.roll(alone, -1, axis=0))
    outside = next(name for name in ASKED if name not in domains)
    moment = measure_inputs(model, modules, field.examples(outside, "calibration"))[modules[-1]]
    for found in of("elsewhere"):
        assert np.allclose(found, moment.whole, rtol=1e-4, atol=1e-6)
    with SuperposedModel(model, [parents[1]]) as added, added.at([1.0]) as weighted:
        moment = measure_inputs(weighted, modules, rows[1])[modules[-1]]
    assert np.allclose(of("own-inputs")[1], moment.whole, rtol=1e-4, atol=1e-6)
    assert not np.allclose(alone[1], moment.whole, rtol=1e-2)
    asked = measured.of(InputsOn("questions", 0, domains), InputsWay("questions"), parents)
    assert [each.tokens for each in asked] == [sum(len(r.question) for r in d) for d in rows]


def test_parts_of_a_regression_add_up_to_it(field: Field) -> None:
    domains = _triple(field)
    parents = [trained(field, "main", 0, name) for name in domains]
    way = WAYS_OF_INPUTS[REFERENCE]
    statistics = MeasuredOnce(field).of(InputsOn(REFERENCE, 0, domains), way, parents)
    merged = merge(parents, None, RegMean(statistics, ridge=way.ridge))
    apart = taken_apart(merged, parents)
    assert (sum(apart) - merged).norm() < 1e-6 * merged.norm()
    for part, parent in zip(apart, parents, strict=True):
        assert part.rank == parent.rank


def test_figures_are_recomputed_from_the_recorded_rows_by_numpy_alone(judged: Path) -> None:
    record = json.loads((judged / "inputs.json").read_text(encoding="utf-8"))
    check_record(record, judged / "inputs.npz", REFERENCE)


def test_what_is_not_finished_is_left_out_and_said(
    field: Field, judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = InputsOn("ssr", 0, _triple(field))
    file = field.folder.path / missing.file
    content = file.read_bytes()
    file.unlink()
    judge_inputs.judge_inputs(field)
    file.write_bytes(content)
    record = json.loads((judged / "inputs.json").read_text(encoding="utf-8"))
    assert record["about"]["left_out"] == [["ssr", 0, "+".join(missing.domains)]]
    assert record["ways"]["ssr"]["sums"] == 1
    text = (judged / "methods.md").read_text(encoding="utf-8")
    assert f"Left out: `ssr` of {'+'.join(missing.domains)}, seed 0." in text


def test_the_record_is_judged_again_to_the_same_bytes_and_its_page_stands_without_an_arena(
    field: Field, judged: Path
) -> None:
    files = [judged / name for name in ("inputs.json", "methods.md")]
    first = [file.read_bytes() for file in files]
    again(field)
    assert first == [file.read_bytes() for file in files]
    text = first[1].decode()
    assert "was not played" in text
    assert all(f"| {said} |" in text for section in SECTIONS.values() for said in section.values())
    record = json.loads(first[0])
    assert text.endswith("\n".join(inputs_section(record)).rstrip() + "\n")


def test_resampled_intervals_are_as_wide_as_the_standard_error_says() -> None:
    """Where the gap is the same in every resample, and there is one sum to draw."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, 9, size=64)
    naive = rng.normal(2, 0.5, size=64) * tokens
    nll = {"sum": naive, "own": naive - tokens, REFERENCE: naive - rng.uniform(0, 2, 64) * tokens}
    cells = {way: Cell(CONDITION, 0, ("a",), way) for way in nll}
    found = {cell: {"a": Rows(nll[way], tokens)} for way, cell in cells.items()}
    share = Resampled(found, [cells["sum"]]).gap_closed(REFERENCE, [cells["sum"]])
    beside = compared(found, REFERENCE, "sum", [cells["sum"]])
    assert share.value == pytest.approx(-beside.difference)
    assert share.drawn.std() == pytest.approx(beside.error, rel=0.1)
