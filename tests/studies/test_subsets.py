"""What a study adds: all subsets, pairs, sizes or a list, and always all of its domains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import write_questions
from tests.studies.tiny import Heard, files_of, tiny_spec

from superpose.errors import BadInput
from superpose.studies.cells import chosen_subsets
from superpose.studies.results import write_results
from superpose.studies.run import Study
from superpose.studies.summary import Summary
from superpose.studies.tables import study_parts
from superpose.verbs.study import studied

FOUR = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("wanted", "right"),
    [
        ("pairs", ["ab", "ac", "ad", "bc", "bd", "cd", "abcd"]),
        ([3], ["abc", "abd", "acd", "bcd", "abcd"]),
        ([["c", "a"], 4], ["ac", "abcd"]),
        ([["a", "b"], 2, ["b", "a"]], ["ab", "ac", "ad", "bc", "bd", "cd", "abcd"]),
    ],
)
def test_subsets_come_in_order_once_and_with_all_domains_among_them(
    wanted: Any, right: list[str]
) -> None:
    assert ["".join(names) for names in chosen_subsets(FOUR, wanted)] == right


def _three(tiny_base: Path, folder: Path, **changes: Any) -> Any:
    files = write_questions(folder)
    rows = [json.dumps({"question": f"How is {n}?", "answer": f"so {n}"}) for n in range(40)]
    files["moods"] = folder / "moods.jsonl"
    files["moods"].write_text("\n".join(rows), encoding="utf-8")
    return tiny_spec(tiny_base, files, train_rows=8, test_rows=4, seeds=[0], **changes)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("triples", "'triples' is none of: `all`, `pairs`"),
        ([], r"\[\] is none of"),
        ([True], "True is neither a size nor a list of domains"),
        ([4], "no 4 of 3 domains make a sum"),
        ([1], "no 1 of 3 domains make a sum"),
        ([["sums", "law"]], "`law` is no domain; there are sums, coins, moods"),
        ([["sums", "sums"]], r"sums \+ sums is no sum of several domains"),
        ([["sums"]], "sums is no sum of several domains"),
    ],
)
def test_what_is_no_subset_is_refused_by_name(
    wanted: Any, said: str, tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        _three(tiny_base, tmp_path, subsets=wanted)


def test_a_study_adds_what_it_was_asked_for_and_more_later(tiny_base: Path, tmp_path: Path) -> None:
    few = _three(tiny_base, tmp_path, subsets=[["coins", "sums"]])
    study = Study(few, tmp_path / "run")
    study.run()
    summary = write_results(study.folder, few, study.cells)
    assert [each.domains for each in summary.subsets] == [
        ("sums", "coins"), ("sums", "coins", "moods"),
    ]  # fmt: skip
    assert summary.whole == ("sums", "coins", "moods")
    assert Summary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
    assert {row.subset for row in summary.methods} == {each.domains for each in summary.subsets}
    assert len({(point.domains, point.seed) for point in summary.points}) == 2
    assert study_parts(summary)
    assert studied(study, 0.0).page().sections[0].title == "Verdict"
    before = files_of(study.folder.path)
    assert not [name for name in before if "sums+moods" in name]

    heard = Heard()
    every = few.model_copy(update={"subsets": "all"})
    again = Study(every, tmp_path / "run", reporter=heard)
    again.run()
    after = files_of(again.folder.path)
    assert {name: after[name] for name in before if name.startswith("cells")} == {
        name: data for name, data in before.items() if name.startswith("cells")
    }
    assert any("sums+moods" in activity for activity in heard.finished)
    assert not any("single" in activity for activity in heard.finished)
    assert len(write_results(again.folder, every, again.cells).subsets) == 4


def test_a_study_loads_its_base_in_the_dtype_and_on_the_device_it_names(
    tiny_base: Path, tmp_path: Path
) -> None:
    spec = _three(tiny_base, tmp_path, dtype="bfloat16", device="cpu", subsets="pairs")
    study = Study(spec, tmp_path / "run")
    parameter = next(study.base.model.parameters())
    assert (parameter.dtype, parameter.device.type) == (torch.bfloat16, "cpu")
    assert study.identity()["dtype"] == "bfloat16"
    assert "device" not in study.identity()
    plain = spec.model_copy(update={"dtype": "float32", "device": None})
    assert "dtype" not in Study(plain, tmp_path / "other").identity()
    study.folder.claim(study.identity())
    with pytest.raises(BadInput, match="differs in dtype"):
        Study(plain, tmp_path / "run").run()
    study.run()
    summary = write_results(study.folder, spec, study.cells)
    assert all(row.perplexity.mean > 1 for row in summary.methods)
    with pytest.raises(BadInput, match="device: 'abacus' is no device that torch knows"):
        _ = Study(spec.model_copy(update={"device": "abacus"}), tmp_path / "run").base
    with pytest.raises(ValueError, match="dtype"):
        _three(tiny_base, tmp_path, dtype="int8")
