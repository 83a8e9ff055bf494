"""Question files and splits: what is read, what is refused with its line, what is never shared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from superpose.data.domain import Row, fingerprint, read_rows, sample_rows, split_rows
from superpose.errors import BadInput, Missing


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_come_in_their_order_and_blank_lines_do_not_count(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"q": " a ", "a": "1"}\r\n\r\n{"q": "b", "a": "2", "more": 3}\r\n')
    assert read_rows(path, question="q", answer="a") == [Row("a", "1"), Row("b", "2")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no questions in it"),
        ("\n \n", "no questions in it"),
        ('{"question": "a", "answer": "b"}\n{"question": ', "line 2: not a JSON object"),
        ('["a", "b"]', "line 1: not a JSON object"),
        ('{"question": "a"}', "line 1: no text under 'answer'"),
        ('{"question": "a", "answer": "  "}', "line 1: no text under 'answer'"),
        ('{"question": "a", "answer": 7}', "line 1: no text under 'answer'"),
        ('{"question": "a", "answer": "\\ud800"}', "line 1: half a surrogate pair"),
        ("[" * 100_000, "line 1: not a JSON object"),
        ('{"question": ' + "9" * 5_001 + "}", "line 1: not a JSON object"),
    ],
)
def test_a_bad_question_file_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        read_rows(_file(tmp_path, text))


def test_a_missing_file_a_folder_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such question file"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(BadInput, match="this is a folder"):
        read_rows(tmp_path)
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not UTF-8 text"):
        read_rows(tmp_path / "bytes.jsonl")


def test_a_hub_name_that_cannot_be_had_says_so() -> None:
    with pytest.raises(Missing, match="no such file, and the hub gives no data set"):
        read_rows("no-such-owner/no-such-set")


@given(
    numbers=st.lists(st.integers(0, 60), min_size=1, max_size=80),
    test=st.integers(0, 20),
    train=st.integers(0, 20),
    seed=st.integers(0, 5),
)
def test_no_test_question_is_ever_trained_on(
    numbers: list[int], test: int, train: int, seed: int
) -> None:
    rows = [Row(f"Question {n}?", str(k)) for k, n in enumerate(numbers)]
    if len(set(numbers)) < train + test:
        with pytest.raises(BadInput, match="different questions that fit"):
            split_rows(rows, train=train, test=test, seed=seed)
        return
    trained, tested = split_rows(rows, train=train, test=test, seed=seed)
    assert (len(trained), len(tested)) == (train, test)
    assert not {row.question for row in trained} & {row.question for row in tested}
    assert split_rows(rows, train=train, test=test, seed=seed) == (trained, tested)


def test_more_training_rows_leave_the_test_rows_alone() -> None:
    rows = [Row(str(n), str(n)) for n in range(50)]
    few, many = (split_rows(rows, train=n, test=10, seed=3) for n in (5, 40))
    assert few[1] == many[1]
    assert few[0] == many[0][:5]


def test_a_fingerprint_tells_rows_and_their_order_apart() -> None:
    rows = [Row("a", "1"), Row("b", "2")]
    assert fingerprint(rows) == fingerprint(list(rows))
    assert fingerprint(rows) != fingerprint(rows[::-1])
    assert fingerprint(rows) != fingerprint([Row("a", "1b"), Row("", "2")])


def test_a_sample_is_seeded_and_never_larger_than_what_there_is() -> None:
    rows = [Row(str(n), str(n)) for n in range(20)]
    assert sample_rows(rows, 5, seed=1) == sample_rows(rows, 5, seed=1)
    assert sample_rows(rows, 5, seed=1) != sample_rows(rows, 5, seed=2)
    assert sample_rows(rows, None, seed=1) == rows
    assert sorted(sample_rows(rows, 21, seed=1), key=rows.index) == rows
    with pytest.raises(BadInput, match="were asked for"):
        sample_rows(rows, 0, seed=1)


def test_a_row_can_hold_any_text(tmp_path: Path) -> None:
    row = {"question": "\u2028 “why?” {question}", "answer": 'a "b"\n\\c'}
    found = read_rows(_file(tmp_path, json.dumps(row, ensure_ascii=False)))
    assert found == [Row("“why?” {question}", 'a "b"\n\\c')]


def test_a_row_that_is_far_too_long_is_refused_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    longest = {"question": "q", "answer": "a" * 900_000}
    path.write_text(json.dumps(longest) + "\n", encoding="utf-8")
    assert len(read_rows(path)) == 1
    longer = {"question": "q", "answer": "a" * 1_000_001}
    path.write_text(json.dumps(longest) + "\n" + json.dumps(longer), encoding="utf-8")
    with pytest.raises(BadInput, match=r"rows\.jsonl, line 2: a row of 1,000,\d+ characters"):
        read_rows(path)
