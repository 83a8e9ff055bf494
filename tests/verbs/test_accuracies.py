"""`superpose eval` on rows with choices, and with answers that are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import superpose
from superpose.errors import BadInput
from superpose.shown import Line, Table

CHOICES: list[dict[str, Any]] = [
    {"question": f"{n} + {n}?", "answer": f"{2 * n}", "choices": [f"{3 * n}", f"{2 * n}", "none"]}
    for n in range(1, 6)
]
OPEN = [{"question": f"What is {n}?", "answer": "A number."} for n in range(3)]


def test_accuracy_stands_beside_perplexity_where_rows_have_choices(
    tiny_base: Path, adapters: list[Path]
) -> None:
    data: Any = {"sums": [*CHOICES, OPEN[0]], "words": OPEN[1:]}
    said = superpose.TestQuestions(exact_match=2)
    found = superpose.evaluate(tiny_base, list(map(str, adapters)), data, "sum", said)
    rows = {row["domain"]: row for row in found.to_json()["evaluations"]}
    assert rows["sums"]["choice_questions"] == 5
    assert rows["sums"]["chance"] == pytest.approx(1 / 3, abs=1e-6)
    assert 0 <= rows["sums"]["accuracy_low"] <= rows["sums"]["accuracy"]
    assert rows["words"]["accuracy"] is None
    assert rows["words"]["exact_match"] == 0
    perplexities, accuracies, without, matches = found.shown()
    assert isinstance(accuracies, Table)
    titles = [column.title for column in accuracies.columns]
    assert titles == ["task weights", "sums, 5 questions, chance 33.3", "a token"]
    assert len(accuracies.rows) == len(perplexities.rows)  # type: ignore[union-attr]
    assert isinstance(without, Line)
    assert "1 of 6 rows of sums, 2 of 2 rows of words" in without.text
    assert isinstance(matches, Table)
    assert [column.title for column in matches.columns[1:]] == [
        "sums, 6 questions",
        "words, 2 questions",
    ]


def test_without_choices_nothing_is_said_of_them(tiny_base: Path, adapters: list[Path]) -> None:
    found = superpose.evaluate(tiny_base, list(map(str, adapters)), {"words": OPEN}, "sum")
    assert len(found.shown()) == 1
    without = superpose.TestQuestions(choices="")
    found = superpose.evaluate(tiny_base, list(map(str, adapters)), {"a": CHOICES}, "sum", without)
    assert len(found.shown()) == 1


def test_choices_without_the_answer_are_refused_before_anything_is_loaded() -> None:
    bad: Any = {"sums": [CHOICES[0] | {"answer": "9"}]}
    with pytest.raises(BadInput, match="sums, row 1: the answer '9' is not among the choices"):
        superpose.evaluate("no-such-base", {}, bad)
