"""Task weights are taken alike by what sums: text, `average`, what a command wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import superpose
from superpose.errors import BadInput, BadSetting
from superpose.verbs.weights_file import given, read_weights_file

pytestmark = pytest.mark.usefixtures("here")
NAMES = ["sums", "coins"]


def written(content: object) -> Path:
    path = Path("weights.json")
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_eval_and_ask_take_weights_as_add_does(
    tiny_base: Path, question_files: dict[str, Path]
) -> None:
    path = written({"weights": {"sums": 0.5, "coins": 0.25}})
    colons, data = ["sums:0.5", "coins:0.25"], [question_files["sums"]]
    rows = superpose.evaluate(tiny_base, colons, data, "sum").to_json()
    for weights in (path, str(path), "0.5,0.25", (0.5, 0.25)):
        found = superpose.evaluate(tiny_base, NAMES, data, "sum", weights=weights)
        assert found.to_json() == rows
    said = superpose.ask(tiny_base, colons, "What?").to_json()
    assert superpose.ask(tiny_base, NAMES, "What?", weights=path).to_json() == said


def test_average_is_one_over_k_everywhere(tiny_base: Path, question_files: dict[str, Path]) -> None:
    written_sum = superpose.add(NAMES, "both", "average").adapter
    assert written_sum.name == "0.5*sums + 0.5*coins"
    data = [question_files["coins"]]
    halves = superpose.evaluate(tiny_base, NAMES, data, weights=(0.5, 0.5)).to_json()
    assert superpose.evaluate(tiny_base, NAMES, data, weights="average").to_json() == halves
    with pytest.raises(BadSetting, match="given twice"):
        given(["sums:2", "coins"], "average")


def test_what_predict_wrote_gives_the_weights_that_it_advises() -> None:
    weights = {"sums": 0.75, "coins": 0.5}
    path = written({"advice": {"verdict": "add them with these weights", "weights": weights}})
    assert read_weights_file(path).weights == weights
    naive = {"adapters": NAMES, "advice": {"verdict": "add them", "weights": None}}
    assert read_weights_file(written(naive)).weights == {"sums": 1.0, "coins": 1.0}
    for advice in (None, {"verdict": "look for better weights", "weights": None}):
        path = written({"adapters": NAMES, "advice": advice})
        with pytest.raises(BadInput, match="advises no weights"):
            read_weights_file(path)


def test_weights_written_by_hand_say_each_name_once_and_may_begin_with_a_mark() -> None:
    path = Path("weights.json")
    path.write_text('\ufeff{"weights": {"sums": 0.5, "coins": 1}}', encoding="utf-8")
    assert read_weights_file(path).weights == {"sums": 0.5, "coins": 1.0}
    for text in ('{"weights": {"sums": 1, "coins": 2, "sums": 3}}', '{"weights": 1, "weights": 2}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(BadInput, match=r"^weights\.json: .*`(sums|weights)` stands twice"):
            read_weights_file(path)


def test_a_weight_beyond_all_numbers_is_told_with_its_adapter() -> None:
    for weights in ([10**400, 1], {"sums": 10**400, "coins": 1}):
        with pytest.raises(BadSetting, match="is no task weight"):
            superpose.merge(NAMES, weights=weights)
    with pytest.raises(BadInput, match=r"coins.*must be a finite number"):
        superpose.load("coins") * 1e308 * 1e308
    adapter = superpose.load("coins")
    finer = {key: [1e308] * delta.rank for key, delta in adapter.items()}
    assert adapter.scaled_by_module(finer).parents[0].weight == pytest.approx(1e308)
    with pytest.raises(BadInput, match=r"coins.*: a task weight of 1e\+308 makes values beyond"):
        (1e9 * adapter).scaled_by_module(finer)
