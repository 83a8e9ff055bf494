"""Question files that are no JSON Lines: a JSON array and tables of cells give the same rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from superpose.data.domain import Row, is_file_name, read_rows
from superpose.errors import BadInput

ROWS = [Row("a, b?", 'x\n"y"'), Row("c", "1", ("1", "2"))]


def _file(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8"))
    return path


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("start", ["", "\ufeff", " \n"])
def test_a_json_array_has_the_rows_of_its_elements(
    tmp_path: Path, indent: int | None, start: str
) -> None:
    records = [
        {"question": row.question, "answer": row.answer, "choices": list(row.choices)}
        for row in ROWS
    ]
    path = _file(tmp_path, "rows.json", start + json.dumps(records, indent=indent) + "\n")
    assert read_rows(path) == ROWS


def test_a_json_file_of_one_object_a_line_is_read_as_lines(tmp_path: Path) -> None:
    line = json.dumps({"question": "q", "answer": "a"})
    assert read_rows(_file(tmp_path, "rows.json", f"{line}\n{line}\n")) == [Row("q", "a")] * 2


@pytest.mark.parametrize(("name", "between"), [("r.csv", ","), ("r.csv", ";"), ("r.tsv", "\t")])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_table_has_a_row_a_line_whatever_stands_between_cells(
    tmp_path: Path, name: str, between: str, end: str
) -> None:
    path = tmp_path / name
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=between, lineterminator=end)
        writer.writerow(["question", "answer", "choices"])
        for row in ROWS:
            choices = json.dumps(row.choices) if row.choices else ""
            writer.writerow([row.question, row.answer, choices])
        file.write(end)
    assert read_rows(path) == ROWS


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)] * 2),
        min_size=1,
        max_size=5,
    )
)
def test_what_csv_writes_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("question", "answer"), *pairs])
    assert read_rows(path) == [Row(q.strip(), a.strip()) for q, a in pairs]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "[]", "no questions in it"),
        ("a.json", '[{"question": "a", "answer": "b"},\n 7]', "line 2: not a JSON object"),
        ("a.json", '[{"question": "a", "answer": "b"},\n', "line 2: not a JSON object"),
        ("a.json", '[{"question": "a", "answer": "b"}', "line 1: not a JSON array: no `,` or `]`"),
        ("a.json", '[{"question": "a", "answer": "b"}\n{}]', "line 2: not a JSON array"),
        ("a.json", '[{"question": "a", "answer": "b"}]\n]', "line 1: not a JSON array: text behi"),
        ("a.json", '[{"question": "a", "answer": "b"},]', "line 1: not a JSON object"),
        ("a.json", "[" * 100_000, "line 1: not a JSON object of a sensible size"),
        ("a.csv", "", "no questions in it"),
        ("a.csv", "question,answer\n", "no questions in it"),
        ("a.csv", "question,answer\na,b\nc\n", "line 3: 1 cells, and the header has 2"),
        ("a.csv", "question,answer\na,b,c\n", "line 2: 3 cells, and the header has 2"),
        ("a.csv", 'question,answer\na,"b\n', "line 2: no table of cells: unexpected end"),
        ("a.csv", "question,question\na,b\n", "line 1: the header names the column 'question' tw"),
        ("a.csv", "q,a\n1,2\n", r"line 2: no text under 'question' \(it has: a, q\)"),
        ("a.csv", "question,answer\na, \n", "line 2: no text under 'answer'"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        read_rows(_file(tmp_path, name, text))


def test_rows_without_a_question_name_the_options_that_say_where_it_is(tmp_path: Path) -> None:
    path = _file(tmp_path, "rows.csv", "frage,antwort\na,b\n")
    with pytest.raises(BadInput) as caught:
        read_rows(path)
    assert caught.value.hint is not None
    assert "--question NAME --answer NAME" in caught.value.hint
    assert read_rows(path, question="frage", answer="antwort") == [Row("a", "b")]


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
def test_a_row_that_is_far_too_long_is_refused_and_a_long_one_read(
    tmp_path: Path, name: str
) -> None:
    def written(length: int) -> Path:
        text = "a" * length
        table = f"question,answer\nq,{text}\n"
        array = json.dumps([{"question": "q", "answer": text}])
        return _file(tmp_path, name, table if name == "rows.csv" else array)

    before = csv.field_size_limit()
    assert len(read_rows(written(900_000))[0].answer) == 900_000
    with pytest.raises(BadInput, match=r"field limit|a row of 1,000,\d+ characters"):
        read_rows(written(1_000_001))
    assert csv.field_size_limit() == before


def test_every_ending_can_only_mean_a_file(tmp_path: Path) -> None:
    for ending in ("jsonl", "json", "csv", "tsv"):
        assert is_file_name(f"rows.{ending}")
    assert not is_file_name("org/rows")
