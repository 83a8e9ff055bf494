"""The page of a check says the verdict's own words: those of the terminal and the notebook."""

from __future__ import annotations

import html
import re

import pytest
from tests.interference.pairs import READ_AS, Size, common, random
from tests.report.conftest import MADE

from superpose.interference import check
from superpose.report import check_page, render
from superpose.shown.words import true_minus


def text_of(page: str) -> str:
    """What a reader sees of it, whatever its lines are and wherever a space may not break."""
    shown = html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ")
    return " ".join(shown.split())


@pytest.mark.parametrize("word", READ_AS)
def test_a_page_says_the_pair_s_verdict_reason_and_next_step(word: str) -> None:
    found = check(list(READ_AS[word](Size(modules=8))))
    (pair,) = found.pairs
    said = text_of(render(check_page(found.to_json(), MADE)))
    assert f"a + b: {pair.judgement.verdict}." in said
    assert true_minus(pair.judgement.reason) in said
    assert f"Next: {pair.judgement.next}" in said


def test_of_several_pairs_the_weightiest_is_told_by_name() -> None:
    size = Size(modules=8)
    a, b = common(size)
    found = check([a, b, random(size, 5, "c")])
    said = text_of(render(check_page(found.to_json(), MADE)))
    (pair,) = [p for p in found.pairs if (p.a, p.b) == ("a", "b")]
    assert "a + b: a small common direction; a + c and b + c: unrelated." in said
    assert f"Next: a + b: {pair.judgement.next}" in said
    assert true_minus(f"a + b: {pair.judgement.reason}") in said


def test_the_page_of_a_check_of_an_earlier_version_has_no_next_step() -> None:
    """A study keeps its checks; such a page still shows its pairs."""
    from superpose.report.pairs import pairs_section

    found = check(list(common(Size(modules=8)))).to_json()
    for pair in found["pairs"]:  # type: ignore[attr-defined]
        del pair["next"], pair["standing_out"]
        pair["verdict"] = "nearly orthogonal"
    (texts,) = pairs_section(found).data["heat"]["texts"]
    assert texts["strong"] == "Nearly orthogonal."
    assert "Next:" not in texts["text"]
