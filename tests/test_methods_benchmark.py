"""The arena of merge methods: what is registered is what is played, and a small one is played."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.methods import beside, contending, judge, page, playing, records, rows
from benchmarks.methods.beside import WAYS, Beside, besides, doer
from benchmarks.methods.contending import Contending, contender, contendings
from benchmarks.methods.page_registered import registered_section
from benchmarks.methods.sums import TEST, core_sums, drawn_sums
from benchmarks.prediction.field import Field
from benchmarks.second.matched import Matched, matcher
from benchmarks.second.settings import SECOND, SOURCES
from benchmarks.second.signs import Sign, signer
from tests.small_field import PLAYED, field_of, small_field

from superpose.measure.arena import Standing
from superpose.measure.contenders import CONTENDERS
from superpose.measure.tune import Tuned

ASKED = {"plus": "{} plus 3?", "halves": "Half of {}?", "dimes": "How many cents are {} dimes?"}

DOMAINS = tuple(ASKED)


@pytest.fixture(scope="module", params=PLAYED)
def field(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Field:
    """Three small domains whose adapters are trained."""
    return small_field(tmp_path_factory.mktemp("played"), tiny_base, ASKED)


def test_nineteen_sums_are_played_as_registered() -> None:
    field = Field("nowhere", tournament=SECOND, sources=SOURCES)
    sizes = Counter(len(d) for seed in SECOND.seeds for d in drawn_sums(field, seed))
    assert sizes == {2: 9, 3: 6, 4: 3, 6: 1}
    assert drawn_sums(field, 1) == drawn_sums(field, 1) != drawn_sums(field, 2)
    contended = [each for each in contendings(field) if each.condition == "main"]
    assert len(contended) == 19 * len(CONTENDERS)
    assert len(besides(field)) == 19 * len(WAYS)
    files = [each.file for each in (*contendings(field), *besides(field))]
    assert len(files) == len(set(files))


def test_ten_sums_one_of_each_size_finish_the_seeds() -> None:
    field = Field("nowhere", tournament=SECOND, sources=SOURCES)
    core = {seed: core_sums(field, seed) for seed in SECOND.seeds}
    assert {seed: [len(d) for d in found] for seed, found in core.items()} == {
        0: [2, 3, 4, 6],
        1: [2, 3, 4],
        2: [2, 3, 4],
    }
    assert core[0][1] == ("television", "music", "algebra")  # on record before there was a core
    for seed, found in core.items():
        drawn = {len(d): d for d in reversed(drawn_sums(field, seed))}
        assert found == [drawn[len(d)] for d in found]


def test_a_method_contends_at_its_budget_and_keeps_each_rows_loss(field: Field) -> None:
    asked = Contending("main", "regmean", 0, DOMAINS[:2])
    with contender(field) as contend:
        contend(asked)
    content = json.loads((field.folder.path / asked.file).read_text(encoding="utf-8"))
    about = {name: content.pop(name) for name in ("condition", "seed", "domains")}
    assert about == {"condition": "main", "seed": 0, "domains": list(DOMAINS[:2])}
    standing = Standing.from_json(content)
    assert standing.passes == contending.PASSES
    tested = {name: len(score.row_nll) for name, score in standing.scores.items()}
    assert tested == dict.fromkeys(DOMAINS[:2], min(TEST, 4))


@pytest.mark.parametrize("way", WAYS)
def test_what_stands_beside_the_methods_is_measured_on_their_rows(field: Field, way: str) -> None:
    asked = Beside(way, 0, DOMAINS[:2])
    with doer(field) as do:
        do(asked)
    content = json.loads((field.folder.path / asked.file).read_text(encoding="utf-8"))
    assert content["way"] == way
    for name in DOMAINS[:2]:
        assert len(content["nll"][name]) == len(content["tokens"][name]) == 4
        assert np.isfinite(content["nll"][name]).all()
    trained = {"merged-epochs", "merged-steps", "calibration", "fine-tuned"}
    assert (field.folder.path / "adapters" / way).is_dir() == (way in trained)


def test_ways_of_one_sum_begin_with_weights_that_are_tuned_once(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = Counter[tuple[str, ...]]()
    tune = beside.tune

    def counting(model: Any, rows: Any, calibrated: Any) -> Tuned:
        tuned[tuple(rows)] += 1
        return tune(model, rows, calibrated)

    monkeypatch.setattr(beside, "tune", counting)
    with doer(field) as do:
        for domains in (DOMAINS[:2], DOMAINS[1:]):
            for way in ("tuned", "by-layer", "by-module"):
                do(Beside(way, 0, domains))
    assert tuned == {DOMAINS[:2]: 1, DOMAINS[1:]: 1}


def test_a_seed_is_finished_with_its_core_and_sums_beyond_it_count_where_they_are_whole(
    field: Field, played: Path
) -> None:
    beyond = drawn_sums(field, 0)[1]
    record = judged_without(beyond, field, played)
    assert record["about"]["unfinished"] == []
    assert len(record["sums"]) == 3
    assert list(beyond) not in [each["domains"] for each in record["sums"]]


def test_scaled_adapters_have_one_norm_and_pairs_are_measured(field: Field) -> None:
    asked = Matched(0, "plus")
    with matcher(field) as do:
        do(asked)
    content = json.loads((field.folder.path / asked.file).read_text(encoding="utf-8"))
    points = np.array(content["points"])
    scaled = points[1] * content["norms"]
    assert np.allclose(scaled[points[1] > 0], scaled.max())
    assert (points > 0).sum(axis=1).tolist() == [1, 2, 2]
    assert np.shape(content["nll"]) == (3, 4)


def test_a_pair_is_trained_longer_and_beside_merged_data_of_both_budgets(field: Field) -> None:
    asked = Sign(3e-2, 2, ("plus", "halves"))
    with signer(field) as do:
        do(asked)
    content = json.loads((field.folder.path / asked.file).read_text(encoding="utf-8"))
    assert content["ways"][-3:] == ["merged-epochs", "merged-steps", "sum"]
    steps = {}
    for way in content["ways"][1:-1]:
        record = next(field.folder.path.glob(f"adapters/signs/*/{way}/training.json"))
        steps[way] = json.loads(record.read_text(encoding="utf-8"))["steps"]
    assert steps == {"plus": 6, "halves": 6, "merged-epochs": 12, "merged-steps": 6}
    assert np.shape(content["domains"]["halves"]["nll"]) == (6, 4)


@pytest.fixture
def played(field: Field, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small arena, played and judged; the folder of its record."""
    few = {name: CONTENDERS[name] for name in ("sum", "average", "regmean")}
    for module in (contending, judge):
        monkeypatch.setattr(module, "CONTENDERS", few)
    ways = ("own", "naive", "averaged", "tuned", "merged-epochs", "merged-steps")
    monkeypatch.setattr(beside, "WAYS", ways)
    monkeypatch.setattr(records, "ARENA", tmp_path / "methods.json")
    monkeypatch.setattr(records, "INPUTS", tmp_path / "inputs.json")
    for keeping in (rows.kept, rows.recorded_rows):
        monkeypatch.setattr(keeping, "__defaults__", (tmp_path / "rows.npz",))
    block = f"<!-- made by {page.COMMAND}: begin -->\n<!-- made by {page.COMMAND}: end -->\n"
    (tmp_path / "README.md").write_text(block, encoding="utf-8")
    monkeypatch.setattr(
        page.write_page, "__defaults__", (tmp_path / "methods.md", tmp_path / "README.md")
    )
    with field.claimed():
        contending.contend_missing(field)
        beside.stand_missing(field)
    judge.judge(field)
    return tmp_path


def test_headlines_are_recomputed_from_the_recorded_rows_by_numpy_alone(played: Path) -> None:
    record = json.loads((played / "methods.json").read_text(encoding="utf-8"))
    with np.load(played / "rows.npz") as arrays:
        held = {key: arrays[key].astype(float) for key in arrays.files}

    def figure(way: str, seed: int, domains: list[str]) -> float:
        where = f"main|{seed}|{'+'.join(domains)}|{way}"
        return float(
            np.mean([held[f"{where}|{d}"].sum() / held[f"tokens|{d}"].sum() for d in domains])
        )

    sums = [(each["seed"], each["domains"]) for each in record["sums"]]
    assert len(sums) == 4
    nats = {
        way: np.array([figure(way, *each) for each in sums])
        for way in ("sum", "own", "naive", "averaged", "regmean", "tuned", "merged-epochs")
    }
    for way, found in nats.items():
        closed = (nats["naive"] - found).mean() / (nats["naive"] - nats["own"]).mean()
        assert record["ways"][way]["gap_closed"]["value"] == pytest.approx(
            closed, rel=1e-3, abs=1e-4
        )
        for other, key in page.BESIDE.items():
            assert record["ways"][way][key]["hits"] == int((found < nats[other]).sum())
        by = {other: (found - nats[other]).mean() for other in ("naive", "sum")}
        said = record["ways"][way]
        assert said["less_than_naive"] == pytest.approx(by["naive"], abs=1e-4)
        assert said["less_than_scaled"]["nats"] == pytest.approx(by["sum"], abs=1e-4)
    assert record["told_apart"]["pairs"] == 3


def test_the_record_is_judged_again_to_the_same_bytes_and_its_page_says_the_headline(
    field: Field, played: Path
) -> None:
    first = (played / "methods.json").read_bytes(), (played / "methods.md").read_bytes()
    judge.again(field)
    assert first == ((played / "methods.json").read_bytes(), (played / "methods.md").read_bytes())
    text = first[1].decode()
    assert "of 3 pairs of methods can be told apart" in text
    assert all(f"| {way} |" in text for way in ("own", "sum", "regmean", "merged-steps"))


def test_where_no_seed_is_finished_whole_sums_are_shown_and_that_is_said(
    field: Field, played: Path
) -> None:
    gone, whole = drawn_sums(field, 0)[:2]
    record = judged_without(gone, field, played)
    shown = [tuple(each["domains"]) for each in record["sums"]]
    assert whole in shown
    assert gone not in shown
    assert {each["sum"] for each in record["about"]["chosen"]} >= {"+".join(whole)}
    assert "**No seed is finished**" in (played / "methods.md").read_text(encoding="utf-8")


def test_sums_on_record_are_judged_without_their_folder_and_not_played_again(
    field: Field, played: Path, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine goes on from the repository alone."""
    record = (played / "methods.json").read_bytes()
    (tmp_path / "elsewhere").mkdir()
    elsewhere = field_of(tmp_path / "elsewhere", tiny_base, ASKED)
    with elsewhere.claimed():
        playing.play_missing(elsewhere)
    kept = {each.name for each in elsewhere.folder.path.iterdir()}
    assert not kept & {"contending", "beside", "adapters"}
    judge.judge(elsewhere)
    assert (played / "methods.json").read_bytes() == record
    others = replace(field.tournament, seeds=(1,))
    monkeypatch.setattr(elsewhere, "tournament", others)
    assert not rows.on_record(elsewhere)


def test_sums_of_a_seed_that_is_not_finished_are_kept_and_count_when_it_is(
    field: Field, played: Path, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (played / "methods.json").unlink()
    (tmp_path / "both").mkdir()
    both = field_of(tmp_path / "both", tiny_base, ASKED)
    for name in ("contending", "beside"):
        shutil.copytree(field.folder.path / name, both.folder.path / name)
    for first in both.folder.path.glob("*/**/seed-0"):
        if "same-a" not in first.parts:
            shutil.copytree(first, first.with_name("seed-1"))
    monkeypatch.setattr(both, "tournament", replace(field.tournament, seeds=(0, 1)))
    missing = both.folder.path / Beside("tuned", 0, DOMAINS).file
    content = missing.read_bytes()
    missing.unlink()

    def judged() -> tuple[list[int], Counter[int]]:
        judge.judge(both)
        record = json.loads((played / "methods.json").read_text(encoding="utf-8"))
        return record["about"]["unfinished"], Counter(each["seed"] for each in record["sums"])

    assert judged() == ([0], {1: 4})
    # Another machine, with the record alone, plays what was missing.
    for file in both.folder.path.glob("*/**/seed-0/*.json"):
        if file.stem != "+".join(DOMAINS):
            file.unlink()
    missing.write_bytes(content)
    assert judged() == ([], {0: 4, 1: 4})


def test_of_a_sum_on_record_only_what_is_missing_is_played(
    field: Field, played: Path, tmp_path: Path, tiny_base: Path
) -> None:
    """As where a way joins those that stand beside the methods."""
    record = json.loads((played / "methods.json").read_text(encoding="utf-8"))
    every = rows.recorded_rows()
    rows.kept({cell: found for cell, found in every.items() if cell.way != "naive"})
    (tmp_path / "elsewhere").mkdir()
    elsewhere = field_of(tmp_path / "elsewhere", tiny_base, ASKED)
    with elsewhere.claimed():
        playing.play_missing(elsewhere)
    folder = elsewhere.folder.path
    assert not (folder / "contending").exists()
    assert [each.name for each in (folder / "beside").iterdir()] == ["naive"]
    judge.judge(elsewhere)
    again = json.loads((played / "methods.json").read_text(encoding="utf-8"))
    assert again["gap"]["nats"] == pytest.approx(record["gap"]["nats"], abs=1e-5)
    assert again["about"]["chosen"] == record["about"]["chosen"]


def test_where_naive_sums_lose_nothing_there_is_no_share_of_a_gap(played: Path) -> None:
    record = json.loads((played / "methods.json").read_text(encoding="utf-8"))
    record["gap"] |= {"none": False}
    assert "no gap" not in row_of(page.page(record, None), "regmean")
    record["gap"] |= {"none": True}
    assert "no gap" in row_of(page.page(record, None), "regmean")


@pytest.mark.parametrize(
    ("gap", "hits", "ratio", "said"),
    [
        (0.6, 19, 1.05, ["yes", "yes", "yes", "**no**"]),
        (0.59, 18, 1.06, ["**no**", "**no**", "**no**", "**no**"]),
        (0.99, 20, 0.98, ["yes", "yes", "yes", "yes"]),
    ],
)
def test_bounds_are_held_against_what_was_measured(
    gap: float, hits: int, ratio: float, said: list[str]
) -> None:
    better = {"hits": hits, "of": 20}
    record = {
        "gap": {"none": False},
        "ways": {"regmean": {"gap_closed": {"value": gap}, "better": better}},
        "against": {
            "tuned": {"better": {"hits": 18, "of": 20}},
            "merged-epochs": {"pairs_union_ratio": ratio},
            "merged-steps": {"pairs_union_ratio": ratio},
        },
        "same_a": {"regmean": {"less_than_scaled": 0.02, "error": 0.01}},
        "own_against": {"pairs_union_ratio": 1.1},
    }
    rows = [line for line in registered_section(record) if line.startswith("| ")][2:]
    found = [row.rstrip(" |").rpartition("| ")[2] for row in rows]
    assert found[:2] + found[3:5] == said
    assert found[2] == found[5] == "yes"


def row_of(text: str, way: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {way} |"))


def judged_without(domains: tuple[str, ...], field: Field, played: Path) -> dict[str, Any]:
    """The record of an arena in which one sum's tuned weights were not measured."""
    (played / "methods.json").unlink()  # what is on record counts as well
    file = field.folder.path / Beside("tuned", 0, domains).file
    content = file.read_bytes()
    file.unlink()
    judge.judge(field)
    file.write_bytes(content)
    return dict(json.loads((played / "methods.json").read_text(encoding="utf-8")))
