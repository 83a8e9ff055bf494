"""Which sums add up, in a line and by lights: every light agrees with the line above."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from tests.landscape.test_forecast import Known

from superpose.landscape.adding_up import Share, lights, which_add_up
from superpose.landscape.advice import advise
from superpose.landscape.merged_sum import MergedOn, MergedSum, merged_sentence
from superpose.landscape.predictions import ForecastVerdict, Predictions, forecast_verdict

UP, PERHAPS, NOT = (0.95, 0.93, 0.97), (0.894, 0.851, 0.935), (0.8, 0.75, 0.85)
Sums = dict[tuple[str, ...], list[Share]]


def sums_of(*sums: tuple[str, float, float, float]) -> Sums:
    """Sums such as `("a b", kept, low, high)`, by their first domain."""
    return {
        tuple(names.split()): [Share(names.split()[0], kept, low, high), Share("x", 1.0, 1.0, 1.0)]
        for names, kept, low, high in sums
    }


def lit(sums: Sums, rows: dict[str, int] | None = None) -> list[list[str]]:
    """The lights of sums: each row's texts, with what stands in brackets."""
    table = lights(sums, "24 rows", rows or {})
    assert table.remark.startswith("A sum adds up where it keeps at least 90 % of what each domain")
    assert "(24 rows)." in table.remark
    return [[f"{c.text} ({c.beside})" if c.beside else c.text for c in row] for row in table.rows]


@pytest.mark.parametrize(
    ("share", "said", "light"),
    [
        (UP, "a + b add up.", ["● adds up", "95 % (93 to 97 %)"]),
        (PERHAPS, "a + b may add up.", ["◐ may add up", "89 % (85 to 94 %)"]),
        (NOT, "a + b do not add up.", ["○ does not", "80 % (75 to 85 %)"]),
    ],
)
def test_what_stands_at_the_border_is_said_to_be_too_close_to_say(
    share: tuple[float, float, float], said: str, light: list[str]
) -> None:
    sums = sums_of(("a b", *share))
    assert which_add_up(sums) == said
    assert lit(sums, {"a": 24, "x": 7}) == [["a + b", *light, "a", "24"]]


def test_another_domain_may_decide_than_the_one_that_keeps_least() -> None:
    """With an interval that reaches far the smallest share decides nothing; a sure one does."""
    sums = {("a", "b"): [Share("a", 0.5, 0.0, 1.0), Share("b", *NOT)]}
    assert which_add_up(sums) == "a + b do not add up."
    assert lit(sums, {"a": 3, "b": 1234}) == [
        ["a + b", "○ does not", "80 % (75 to 85 %)", "b", "1,234"]
    ]


def test_every_sum_has_a_light_that_agrees_with_the_line_above() -> None:
    sums = sums_of(("b c", *NOT), ("a b c", 0.4, 0.3, 0.5), ("a c", *PERHAPS), ("a b", *UP))
    assert which_add_up(sums) == "a + b add up, a + c may, the others do not."
    assert [row[:3] for row in lit(sums)] == [
        ["a + b", "● adds up", "95 % (93 to 97 %)"],
        ["a + c", "◐ may add up", "89 % (85 to 94 %)"],
        ["b + c", "○ does not", "80 % (75 to 85 %)"],
        ["a + b + c", "○ does not", "40 % (30 to 50 %)"],
    ]


def test_of_many_sums_the_best_have_lights_and_that_is_said() -> None:
    sums = sums_of(*((f"a b{n}", 0.01 * n, 0.0, 0.02 * n) for n in range(30)))
    table = lights(sums, "24 rows", {})
    assert [row[2].text for row in table.rows] == [f"{n} %" for n in range(29, 9, -1)]
    assert table.remark.endswith("(24 rows). 20 of 30 sums, the best first.")


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (UP, "They add up, in every combination."),
        (PERHAPS, "They may add up, in every combination."),
        (NOT, "No two of them add up as they are."),
    ],
)
def test_sums_of_one_kind_are_said_as_one(share: tuple[float, float, float], said: str) -> None:
    assert which_add_up(sums_of(("a b", *share), ("a c", *share), ("b c", *share))) == said


def of_many(count: int, up: set[frozenset[str]]) -> str:
    """The claim about all sums of so many adapters, of which some add up."""
    names = "abcdefgh"[:count]
    sums = {
        each: [Share(each[0], *(UP if frozenset(each) in up else NOT))]
        for size in range(2, count + 1)
        for each in itertools.combinations(names, size)
    }
    return which_add_up(sums)


def within(*largest: str) -> set[frozenset[str]]:
    """All sums within these."""
    return {
        frozenset(each)
        for names in largest
        for size in range(2, len(names) + 1)
        for each in itertools.combinations(names, size)
    }


def test_of_many_sums_the_largest_that_add_up_are_named() -> None:
    assert of_many(5, within("abc", "cd")) == (
        "a + b + c and c + d, with every sum within, add up, the others do not."
    )
    # With a sum missing within, that would be said too much.
    assert of_many(5, within("abc", "cd") - {frozenset("ab")} | within("de")) == (
        "5 of 26 sums, the largest a + b + c, add up, the others do not."
    )
    assert of_many(4, within("abcd") - {frozenset("abcd")}) == (
        "a + b + c + d do not add up, the others do."
    )
    pairs = {names for names in within("abcd") if len(names) == 2}
    assert of_many(4, pairs) == "all sums of two add up, the others do not."
    assert of_many(5, within("abcd")) == (
        "a + b + c + d, with every sum within, add up, the others do not."
    )


def test_without_a_gain_or_an_interval_a_verdict_stands_too() -> None:
    none = {("a", "b"): [Share("a", None, None, None)]}
    assert which_add_up(none) == "a + b add up."
    assert lit(none) == [["a + b", "● adds up", "all", "a"]]
    sure = {("a", "b"): [Share("a", 0.894, None, None)]}
    assert which_add_up(sure) == "a + b do not add up."
    assert lit(sure) == [["a + b", "○ does not", "89 %", "a"]]


def test_of_many_sums_without_a_pattern_those_that_do_not_are_counted() -> None:
    share = {("a", "b"): UP, ("a", "c"): NOT, ("a", "d"): NOT, ("b", "c"): PERHAPS}
    share |= {("b", "d"): PERHAPS, ("c", "d"): PERHAPS, ("a", "b", "c"): PERHAPS}
    share |= {("a", "b", "d"): NOT, ("a", "c", "d"): NOT, ("b", "c", "d"): NOT}
    said = which_add_up({names: [Share("x", *kept)] for names, kept in share.items()})
    assert said == "a + b add up, 4 of 10 sums may, the others do not."


def verdict_of(known: Known) -> ForecastVerdict:
    """Word what is foretold of every sum and of the weights that are advised."""
    found = known.forecast()
    told = advise(found)
    assert told.weights is not None
    rows = [*found.every_subset(), *found.predict([[told.weights[name] for name in found.names]])]
    predictions = Predictions(found.names, found.domains, rows)
    return forecast_verdict(predictions, told.verdict, told.weights, 36)


def test_a_verdict_says_on_what_its_figures_rest() -> None:
    """Of two adapters the sum is measured; of more those of a few are foretold."""
    two, five = verdict_of(Known(2, 0.01)), verdict_of(Known(5, 0.01))
    assert two.lights is not None
    assert "(measured on 36 calibration rows of 2 domains)" in two.lights.remark
    assert five.lights is not None
    of_five = "36 calibration rows of 5 domains)"
    assert f"(in part measured on, in part foretold from, {of_five}" in five.lights.remark
    found = Known(5, 0.01).forecast()
    known = Predictions(found.names, found.domains, found.every_subset())
    said = known.resting(36, [[1.0, 1.0, 1.0, 0.0, 0.0]])
    assert f"{said})" == f"foretold from {of_five}"


def test_one_adapter_alone_keeps_what_it_gains() -> None:
    said = verdict_of(Known(1, 0.01))
    ((claim, figures),) = said.sentences
    assert claim == "One adapter alone is disturbed by none:"
    assert re.match(r"with its best task weight, a, it keeps .* of the gain on a\.jsonl", figures)


def merged(kept: float, low: float | None) -> tuple[Predictions, MergedSum]:
    """A merge that keeps so much of each gain, beside the naive sum of two that cost each other."""
    found = Known(2, 0.3).forecast()
    known = Predictions(found.names, found.domains, found.every_subset())
    on = []
    for domain in found.domains:
        gain = known.at(known.base, domain).sure_interference
        assert gain is not None
        most = float("nan") if low is None else (1 - low) * gain
        lost = (1 - kept) * gain
        on.append(MergedOn(domain, 1.0, 0.9, 1.1, lost, 2 * lost - most, most))
    return known, MergedSum("ties", tuple(on), 2.0, 1.0, "superpose add")


@pytest.mark.parametrize(
    ("kept", "low", "said"),
    [(0.1, 0.05, "no more"), (0.99, 0.98, "more"), (0.99, 0.1, "may"), (0.99, None, "more")],
)
def test_a_merge_keeps_more_where_its_interval_says_so(
    kept: float, low: float | None, said: str
) -> None:
    known, method = merged(kept, low)
    claim, figures = merged_sentence(known, method, None, 24)
    words: dict[str, Any] = {
        "no more": "keeps no more",
        "more": "keeps more",
        "may": "may keep more",
    }
    assert claim == f"ties {words[said]} than naive sum:"
    assert f"of each adapter's gain at least {100 * kept:.0f} %" in figures
