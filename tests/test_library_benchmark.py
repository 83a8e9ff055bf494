"""The benchmark of libraries judges rightly, and what it makes is what it says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import compress_shared
from benchmarks.library import judging, queries, sketched, told
from benchmarks.library.made import Stock, gpt2_shapes
from benchmarks.library.queries import verdict_of
from benchmarks.readme import block_of
from benchmarks.result import RESULTS

import superpose

TRUTH = {"run-3-1": 0.7, "run-9-0": -1.2}

SMALL = Stock({"transformer.h.0.attn.c_attn": (24, 8)}, ranks=(1, 2), copied=5)


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({"run-3-1": 0.7, "run-9-0": -1.2}, "right"),
        ({"run-3-1": 0.9, "run-9-0": 5.0}, "right"),
        ({"run-3-1": 0.7}, "a parent missed"),
        ({}, "a parent missed"),
        ({"run-3-1": 0.7, "run-9-0": -1.2, "run-5-0": 0.1}, "one too many"),
        ({"run-3-2": 0.7, "run-9-0": -1.2}, "another checkpoint of the same run"),
        ({"run-3-2": 0.4, "run-3-0": 0.3, "run-9-0": -1.2}, "another checkpoint of the same run"),
        ({"run-30-1": 0.7, "run-9-0": -1.2}, "another in a parent's place"),
        ({"run-3-2": 0.7, "run-5-0": -1.2}, "another in a parent's place"),
    ],
)
def test_an_answer_is_right_or_wrong_in_a_way_that_has_a_name(
    told: dict[str, float], verdict: str
) -> None:
    assert verdict_of(told, TRUTH) == verdict


def answer(told: dict[str, float], complete: bool = True) -> dict[str, Any]:
    return {"truth": TRUTH, "told": told, "inside": [True, False], "complete": complete, "cpu": 0.5,
            "seconds": 0.6}  # fmt: skip


def test_shares_are_of_all_sums_and_weights_of_those_with_the_right_parents() -> None:
    exact = {"run-3-1": 0.7004, "run-9-0": -1.2}
    found = [*[answer(exact)] * 98, answer({"run-3-1": 0.1}), answer(exact | {"run-3-2": 0.0})]
    told = {t.what: t for t in judging.of_queries("bfloat16", found)}
    share = told["bfloat16: parents right, a share of 100"]
    assert (share.value, share.holds) == (0.98, False)
    assert told["bfloat16: largest error of a weight, parents right"].value == pytest.approx(4e-4)
    assert told["bfloat16: weights inside their interval, a share"].value == 0.5
    assert told["bfloat16: a parent missed, sums"].value == 1
    assert told["bfloat16: one too many, sums"].value == 1


def test_a_part_from_elsewhere_is_recognised_where_the_sum_is_not_said_to_be_whole() -> None:
    found = [answer(TRUTH, complete=False)] * 19 + [answer(TRUTH)]
    told = {t.what: t for t in judging.of_queries("one from elsewhere", found)}
    assert told["one from elsewhere: recognised, a share of 20"].value == 0.95
    assert told["one from elsewhere: the other parents right, a share"].value == 1.0


def test_pairs_are_counted_whichever_way_round_they_are_named() -> None:
    truth = {frozenset("ab"), frozenset("cd")}
    found = sketched.found_rightly([("b", "a"), ("a", "b"), ("a", "c")], truth)
    assert found == {"there": 2, "found": 1, "false": 1}


def test_the_truth_of_copies_and_runs_is_what_was_made(tmp_path: Path) -> None:
    """By the exact cosines of all pairs; a run that was stopped makes the rest alike."""
    names = SMALL.write(tmp_path / "a", 40)
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "names.json").rename(tmp_path / "b" / "other.json")
    assert SMALL.write(tmp_path / "a", 40) == names
    found = [superpose.load(tmp_path / "a" / name) for name in names]
    copies, runs = sketched.copies_of(names), sketched.runs_of(names)
    assert len(copies) == 7
    for i, a in enumerate(found):
        for b in found[:i]:
            pair, cosine = frozenset((a.name, b.name)), a.cosine(b)
            assert (abs(cosine) > 0.9999) == (pair in copies), pair
            assert (cosine > 0.9) == (pair in runs), pair


@pytest.mark.hard
def test_ten_thousand_are_judged_as_a_few_are(tmp_path: Path) -> None:
    sketched.sketch_missing(tmp_path, 30)
    result = judging.judged(tmp_path)
    told = {target.what: target for target in result.targets}
    assert told["30: pairs of copies there"].value == 1
    assert {t.holds for t in result.targets} <= {None, True}
    assert "30 by sketch: near" in result.timings
    before = (tmp_path / "sketched.json").stat().st_mtime_ns
    sketched.sketch_missing(tmp_path, 30)
    assert (tmp_path / "sketched.json").stat().st_mtime_ns == before


def test_speed_is_judged_by_its_floors(tmp_path: Path) -> None:
    spent = {"index": [9.0, 6.0], "read and hash the files": [2.0, 1.0], "near": [0.5, 0.4],
             "all pairs": [30.0, 40.0], "the pairs' products at full speed": [20.0, 32.0],
             "index again, one new": [0.4, 0.3]}  # fmt: skip
    record = {"timings": spent, "peak_mb": 800.0}
    (tmp_path / "speed-1000.json").write_text(json.dumps(record))
    told = {t.what: t for t in judging.judged(tmp_path).targets}
    assert told["1,000: index and all pairs, seconds"].value == 39.0
    assert told["1,000: index over reading and hashing, CPU"].holds is False
    assert told["1,000: all pairs over their products' floor, CPU"].value == 1.25
    assert told["1,000: index and all pairs over the floor of both, CPU"].value == 46.0 / 33.0


def test_a_part_that_is_not_measured_anew_stays_as_the_record_has_it(tmp_path: Path) -> None:
    record = RESULTS / "library.json"
    before = json.loads(record.read_text())
    file = tmp_path / "asked-bfloat16.jsonl"
    file.write_text(json.dumps(answer(TRUTH)) + "\n")
    after = judging.judged(tmp_path, record).to_json()
    old = {t["what"]: t for t in before["targets"] if not t["what"].startswith("bfloat16: ")}
    new = {t["what"]: t for t in after["targets"]}
    assert {what: new[what] for what in old} == old
    assert new["bfloat16: parents right, a share of 1"]["value"] == 1.0
    assert "bfloat16: parents right, a share of 200" not in new
    timings = dict(before["timings"]), dict(after["timings"])
    fresh, _ = (each.pop("unmix, bfloat16") for each in reversed(timings))
    assert timings[0] == timings[1]
    assert fresh["runs"] == 1


def test_the_how_to_tells_what_is_on_record_with_failures_by_their_kind() -> None:
    block = told.block()
    assert block_of(told.COMMAND, told.PAGE) == block
    record = json.loads((RESULTS / "library.json").read_text())
    for target in record["targets"]:
        if target["what"].endswith(", sums"):
            what = target["what"].removesuffix(", sums").partition(": ")[2]
            assert f"{what} in {target['value']:.0f}" in block
    missed = [target for target in record["targets"] if target["holds"] is False]
    assert block.count("**missed**") == len(missed)


def test_the_answers_of_a_kind_are_read_back(tmp_path: Path) -> None:
    assert queries.told_of(tmp_path, "one from elsewhere") == []
    file = tmp_path / "asked-one-from-elsewhere.jsonl"
    file.write_text(json.dumps(answer(TRUTH)) + "\n")
    assert queries.told_of(tmp_path, "one from elsewhere") == [answer(TRUTH)]
    assert list(gpt2_shapes(2)) == [f"transformer.h.{n}.attn.c_attn" for n in range(2)]


def test_checkpoints_of_one_run_gain_by_one_basis_and_strangers_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compress_shared, "_WIDTH", 96)
    monkeypatch.setattr(compress_shared, "_LAYERS", 2)
    found = {target.what: target for target in compress_shared.measure(1).targets}
    size = "bytes of the shared form over those of the adapters"
    assert found[f"a run: {size}"].value < 0.7
    assert found[f"strangers: {size}"].value > 1.0
    assert all(target.holds is not False for target in found.values())
