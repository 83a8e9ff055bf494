"""`PATH:WEIGHT` on a command line: the number behind the last colon is the task weight."""

from __future__ import annotations

from pathlib import Path

import pytest

from superpose.errors import BadInput
from superpose.verbs.adapters import weighted
from superpose.verbs.weighted import parse_weighted


@pytest.mark.parametrize(
    ("argument", "parsed"),
    [
        ("math", ("math", None)),
        ("math:0.5", ("math", 0.5)),
        ("math:-1", ("math", -1.0)),
        ("math:1e-3", ("math", 1e-3)),
        ("org/math@v1:2", ("org/math@v1", 2.0)),
        ("C:\\runs\\math", ("C:\\runs\\math", None)),
        ("C:\\runs\\math:0.5", ("C:\\runs\\math", 0.5)),
        ("A:0.5", ("A", 0.5)),
        (":0.5", (":0.5", None)),
        ("math:half", ("math:half", None)),
    ],
)
def test_a_number_after_the_last_colon_is_the_weight(
    argument: str, parsed: tuple[str, float | None]
) -> None:
    assert parse_weighted(argument) == [parsed]


def test_a_path_that_exists_wins_over_a_weight(tmp_path: Path) -> None:
    (tmp_path / "math:2").mkdir()
    assert parse_weighted(str(tmp_path / "math:2")) == [(str(tmp_path / "math:2"), None)]
    assert parse_weighted(str(tmp_path / "math:2:3")) == [(str(tmp_path / "math:2"), 3.0)]


def test_the_colon_of_an_address_is_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hf").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_weighted("hf://org/math") == [("hf://org/math", None)]
    assert parse_weighted("hf://org/math@v1/best:0.5") == [("hf://org/math@v1/best", 0.5)]
    page = "https://huggingface.co/org/math/tree/v1"
    assert parse_weighted(page) == [(page, None)]
    assert parse_weighted(f"{page}:-1") == [(page, -1.0)]


def test_a_colon_without_a_weight_is_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "math").mkdir()
    with pytest.raises(BadInput, match="nothing after the colon is no task weight"):
        parse_weighted(f"{tmp_path / 'math'}:")


def test_a_name_too_long_for_any_file_is_left_to_whoever_opens_it() -> None:
    assert parse_weighted("x" * 300 + ":2") == [("x" * 300, 2.0)]


def test_a_weight_left_out_is_1() -> None:
    assert weighted(["a", "b:0.5"]) == (["a", "b"], [1.0, 0.5])
    assert weighted(["a", "b"], [-1.0, 2.0]) == (["a", "b"], [-1.0, 2.0])
    with pytest.raises(BadInput):
        weighted(["a:1", "b"], [1.0, 2.0])


def test_one_argument_may_hold_a_whole_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weighted("math+0.5*medicine") == (["math", "medicine"], [1.0, 0.5])
    assert weighted(["math - law", "tax:2"]) == (["math", "law", "tax"], [1.0, -1.0, 2.0])
    with pytest.raises(BadInput, match="given twice"):
        weighted(["math + law"], [1.0, 2.0])
    monkeypatch.chdir(tmp_path)
    for name in ("a+b", "2*c", "d - e"):
        Path(name).mkdir()
    assert weighted(["a+b", "2*c:3", "d - e"]) == (["a+b", "2*c", "d - e"], [1.0, 3.0, 1.0])


def test_what_can_only_be_a_sum_and_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(BadInput, match=r"no such folder or file, and no sum: `0,5` before the \*"):
        weighted(["math + 0,5*law"])
    with pytest.raises(BadInput, match=r"`runs/single-` before the \*"):
        weighted(["runs/single-*"])
