"""A written sum means one thing, is written one way, and what is wrong in it has its place."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from superpose.errors import BadInput
from superpose.names.sums import parse_sum, parse_terms, write_sum

NAMES = st.text(
    st.characters(exclude_categories=("C", "Z")) | st.sampled_from(" +-*:'\"./\\@0e1"), min_size=1
)
WEIGHTS = st.floats(allow_nan=False, allow_infinity=False)
SUMS = st.lists(st.tuples(NAMES, WEIGHTS), min_size=1, max_size=5)


@given(SUMS)
def test_what_is_written_is_read_as_it_was(terms: list[tuple[str, float]]) -> None:
    assert parse_sum(write_sum(terms)) == terms


@given(SUMS)
def test_a_sum_is_written_one_way(terms: list[tuple[str, float]]) -> None:
    text = write_sum(terms)
    assert write_sum(parse_sum(text)) == text


def test_a_name_that_needs_quotes_has_single_ones_unless_it_holds_one() -> None:
    terms = [("a b", 1.0), ("it's", 1.0), ("'a' \"b\" ", 1.0)]
    assert write_sum(terms) == "'a b' + \"it's\" + '''a'' \"b\" '"


@given(st.text(st.sampled_from(" +-*:'\"./\\@0e1.ab,") | st.characters()))
def test_any_text_is_a_sum_or_refused_with_the_character_that_is_wrong(text: str) -> None:
    problem = ""
    try:
        terms = parse_sum(text)
    except BadInput as error:
        problem = error.problem
    if problem:
        assert 1 <= int(problem.rpartition("(character ")[2].rstrip(")")) <= len(text) + 1
    else:
        assert parse_sum(write_sum(terms)) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("math", [("math", 1.0)]),
        ("math+0.5*medicine", [("math", 1.0), ("medicine", 0.5)]),
        ("  math  +  .5 * medicine ", [("math", 1.0), ("medicine", 0.5)]),
        ("math - medicine", [("math", 1.0), ("medicine", -1.0)]),
        ("math -2*medicine", [("math", 1.0), ("medicine", -2.0)]),
        ("math-medicine", [("math-medicine", 1.0)]),
        ("math+-medicine", [("math", 1.0), ("medicine", -1.0)]),
        ("math+-0.5*medicine", [("math", 1.0), ("medicine", -0.5)]),
        ("math - -0.5*medicine", [("math", 1.0), ("medicine", 0.5)]),
        ("-math", [("math", -1.0)]),
        ("- 2 * math", [("math", -2.0)]),
        ("+math", [("math", 1.0)]),
        ("math:0.5", [("math", 0.5)]),
        ("math:-1+law:1e+2", [("math", -1.0), ("law", 100.0)]),
        ("-math:-1", [("math", 1.0)]),
        ("1e-3*math + 2E+1*law", [("math", 1e-3), ("law", 20.0)]),
        ("0*math", [("math", 0.0)]),
        ("math + math", [("math", 1.0), ("math", 1.0)]),
        ("org/math@v1.2 + ~/runs/law", [("org/math@v1.2", 1.0), ("~/runs/law", 1.0)]),
        ("hf://org/math@v1/best:2", [("hf://org/math@v1/best", 2.0)]),
        ("C:\\runs\\math:0.5 + D:/law", [("C:\\runs\\math", 0.5), ("D:/law", 1.0)]),
        ("math-v2-lora + 2b", [("math-v2-lora", 1.0), ("2b", 1.0)]),
        ("0.5*'a+b' - \"c d\"", [("a+b", 0.5), ("c d", -1.0)]),
        ("'it''s' + '2' + 'x:3':3", [("it's", 1.0), ("2", 1.0), ("x:3", 3.0)]),
        ("Zürich + 数学", [("Zürich", 1.0), ("数学", 1.0)]),
    ],
)
def test_a_sum_is_read(text: str, terms: list[tuple[str, float]]) -> None:
    assert parse_sum(text) == terms
    assert parse_sum(write_sum(terms)) == terms


@pytest.mark.parametrize(
    ("text", "problem", "character"),
    [
        ("", "an empty text", 1),
        ("  ", "an empty text", 1),
        ("math +", "name is missing", 7),
        ("+", "name is missing", 2),
        ("math ++ + law", "name is missing where `+`", 9),
        ("math law", "a + or a - is missing before `law`", 6),
        ("math- law", "a + or a - is missing before `law`", 7),
        ("math - - - law", "name is missing where `-`", 10),
        ("half*math", "`half` before the * is no task weight", 1),
        ("math + 0,5*law", "`0,5` before the * is no task weight", 8),
        ("nan*math", "`nan` before the * is no task weight", 1),
        ("inf*math", "`inf` before the * is no task weight", 1),
        ("1/3*math", "`1/3` before the * is no task weight", 1),
        ("1_0*math", "`1_0` before the * is no task weight", 1),
        ("math*0.5", "`math` before the * is no task weight", 1),
        ("'math'*0.5", "`math` before the * is no task weight", 1),
        ("*math", "nothing before the * is no task weight", 1),
        ("math-0.5*law", "`math-0.5` before the * is no task weight", 1),
        ("1e999*math", "`1e999` is no finite task weight", 1),
        ("math:1e999", "`1e999` is no finite task weight", 6),
        ("math:half", "`half` after the colon is no task weight", 5),
        ("math: + law", "nothing after the colon is no task weight", 5),
        ("math:0.5-law", "`0.5-law` after the colon is no task weight", 5),
        ("2*math:0.5", "`math` has two task weights", 3),
        ("0.5", "`0.5` is a task weight without an adapter", 1),
        ("math + 2", "`2` is a task weight without an adapter", 8),
        ("'math", "a quote is not closed", 1),
        ("'math'-law", "a space is missing before the minus", 7),
        ("it's", "`'` can stand in an adapter's name between quotes alone", 3),
        ("math − law", "a + or a - is missing before `−`", 6),
        ("2*(math + law)", "name is missing where `(math`", 3),
        ("math;law", "`;` can stand in an adapter's name between quotes alone", 5),
        ("'a\nb'", "is no adapter's name", 1),
        ("'' + law", "is no adapter's name", 1),
    ],
)
def test_what_is_no_sum_is_refused_with_its_place(text: str, problem: str, character: int) -> None:
    with pytest.raises(BadInput) as raised:
        parse_sum(text)
    assert problem in raised.value.problem
    assert raised.value.problem.endswith(f"(character {character})")
    assert repr(text) in str(raised.value)


def test_the_way_out_that_a_refusal_shows_is_a_sum() -> None:
    with pytest.raises(BadInput) as raised:
        parse_sum("math-0.5*law")
    shown = str(raised.value.hint).partition("written ")[2].partition(":")[0]
    assert parse_sum(shown) == [("math", 1.0), ("medicine", 0.5), ("finance", -1.0)]


def test_one_bare_name_has_no_weight_written() -> None:
    assert parse_terms("'a+b'") == [("a+b", None)]
    assert parse_terms("+math") == [("math", 1.0)]
    assert parse_terms("math + law") == [("math", 1.0), ("law", 1.0)]


def test_weights_by_part_are_no_single_weight() -> None:
    with pytest.raises(BadInput, match=r"style: weights by part \(te=0\.5,unet=1\) are not taken"):
        parse_terms("math + style:te=0.5,unet=1")


@pytest.mark.parametrize(
    "terms", [[], [("", 1.0)], [("a\nb", 1.0)], [("math", float("nan"))], [("math", float("inf"))]]
)
def test_what_no_sum_can_say_is_not_written(terms: list[tuple[str, float]]) -> None:
    with pytest.raises(BadInput):
        write_sum(terms)
