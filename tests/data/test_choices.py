"""Rows with choices: what is read, what is refused with its line, what they are as tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from superpose.data.domain import Row, fingerprint, read_rows, rows_of
from superpose.data.prompt import Prompt
from superpose.errors import BadInput

ROW: dict[str, Any] = {"question": "2 + 2?", "answer": "4", "choices": ["3", "4", "5"]}


def _read(folder: Path, *records: object, **columns: str) -> list[Row]:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return read_rows(path, **columns)


def test_choices_are_read_in_their_order_from_files_and_memory(tmp_path: Path) -> None:
    spaced = ROW | {"answer": " 4 ", "choices": ["3 ", " 4", "5"]}
    row = Row("2 + 2?", "4", ("3", "4", "5"))
    assert _read(tmp_path, ROW, spaced) == rows_of([ROW, spaced]) == [row, row]
    assert rows_of([row]) == [row]


@pytest.mark.parametrize("nothing", [{}, {"choices": None}, {"choices": []}])
def test_rows_without_choices_are_what_they_were(tmp_path: Path, nothing: dict[str, Any]) -> None:
    rows = _read(tmp_path, {"question": "a", "answer": "1"} | nothing)
    assert rows == [Row("a", "1")]
    assert fingerprint(rows) == "b343590635d7675b"


def test_choices_count_in_the_fingerprint_of_rows() -> None:
    marks = {fingerprint([Row("a", "1", c)]) for c in ((), ("1", "2"), ("2", "1"), ("1", "3"))}
    assert len(marks) == 4


@pytest.mark.parametrize(
    ("choices", "answer", "message"),
    [
        (["3", "5"], "4", "the answer '4' is not among the choices: '3', '5'"),
        (["3", "4", "5"], "B", "not its letter"),
        (["3", "4", "4"], "4", "'4' stands twice"),
        (["4", "3 ", " 3"], "4", "'3' stands twice"),
        (["4"], "4", "a single choice"),
        ("34", "4", "no list of texts under 'choices': str"),
        ([3, 4], "4", "no list of texts under 'choices': int"),
        ({"text": ["3", "4"]}, "4", "no list of texts under 'choices': dict"),
        (["4", None], "4", "no list of texts under 'choices': NoneType"),
        (["4", "\ud800"], "4", "half a surrogate pair under 'choices'"),
    ],
)
def test_choices_that_are_none_are_refused_with_the_line(
    tmp_path: Path, choices: object, answer: str, message: str
) -> None:
    bad = ROW | {"answer": answer, "choices": choices}
    with pytest.raises(BadInput, match=message) as found:
        _read(tmp_path, ROW, bad)
    assert found.value.where == f"{tmp_path / 'rows.jsonl'}, line 2"
    with pytest.raises(BadInput, match=message) as found:
        rows_of([bad], where="mine")
    assert found.value.where == "mine, row 1"


def test_a_wrong_choice_may_be_empty_and_the_file_is_read(tmp_path: Path) -> None:
    (row,) = _read(tmp_path, ROW | {"answer": "4", "choices": ["", "4", "5"]})
    assert row.choices == ("", "4", "5")


def test_a_row_in_memory_is_held_to_the_same() -> None:
    with pytest.raises(BadInput, match="is not among the choices"):
        Row("a", "1", ("2", "3"))


def test_a_column_of_other_things_is_read_under_another_name_or_not_at_all(tmp_path: Path) -> None:
    other = {"question": "a", "answer": "1", "choices": {"text": ["1"]}, "options": ["1", "2"]}
    assert _read(tmp_path, other, choices="options") == [Row("a", "1", ("1", "2"))]
    assert _read(tmp_path, other, choices="") == [Row("a", "1")]


def test_a_choice_has_the_tokens_that_it_has_as_an_answer(tiny_base: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_base)
    prompt = Prompt(tokenizer, max_tokens=None)
    row = Row("ab?", "cde", ("c", "cde", "fg"))
    asked = prompt.encode_choices(row)
    assert asked is not None
    for choice, text in zip(asked.choices, row.choices, strict=True):
        example = prompt.encode(Row(row.question, text))
        assert example is not None
        assert (asked.question, choice) == (example.question, example.answer)
    assert (asked.right, asked.characters, asked.chance) == (1, (1, 3, 2), 1 / 3)


def test_questions_without_choices_or_room_for_all_of_them_have_none(tiny_base: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_base)
    row = Row("ab?", "c", ("c", "cdefgh"))
    whole = Prompt(tokenizer, max_tokens=None).encode_choices(row)
    assert whole is not None
    longest = len(whole.question) + max(map(len, whole.choices))
    assert Prompt(tokenizer, max_tokens=longest).encode_choices(row) == whole
    assert Prompt(tokenizer, max_tokens=longest - 1).encode_choices(row) is None
    assert Prompt(tokenizer, max_tokens=None).encode_choices(Row("ab?", "c")) is None
