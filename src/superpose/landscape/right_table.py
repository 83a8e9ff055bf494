"""Right answers as a forecast shows them: every sum on every domain, and what the sum breaks."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.adapter import sum_or_formula
from superpose.landscape.forecast import MOST_SHOWN
from superpose.landscape.right_answers import RightAnswers
from superpose.landscape.subsets import subsets
from superpose.shown import Cell, Column, Line, Part, Table
from superpose.shown.words import counted

__all__ = ["TestShares", "listed_sums", "right_json", "right_parts", "right_table"]

TestShares = Mapping[tuple[tuple[float, ...], str], float]
"""By task weights and domain, the share of right answers on test rows."""

NAMED, LONGEST = 3, 60
"""Broken questions that are named of each domain, and letters of each that are shown."""


EVERY = 6
"""Adapters up to which each subset has a row; beyond, the base, singles, pairs and all."""


def listed_sums(adapters: int) -> list[tuple[float, ...]]:
    """Give the task weights of the sums that have rows."""
    if adapters <= EVERY:
        return list(subsets(adapters))
    few = itertools.takewhile(lambda weights: sum(weights) <= 2, subsets(adapters))
    return [*few, (1.0,) * adapters]


def right_json(
    found: Sequence[RightAnswers],
    points: Sequence[Sequence[float]],
    tests: TestShares | None = None,
) -> list[dict[str, Any]]:
    """Give what `predict --json` has of right answers: of each domain its questions and its rows.

    points: (S, K) task weights, a row each. tests: measured on test rows; null where they are not.
    """
    written = [one.to_json(points) for one in found]
    for row in (row for one in written for row in one["accuracies"]):
        row["test"] = (tests or {}).get((tuple(row["weights"].values()), row["domain"]))
    return written


def right_table(written: Sequence[Mapping[str, Any]]) -> Table:
    """Give weightings down and domains across. written: what `right_json` gives, one or more."""
    named = Column("task weights", sum_or_formula)
    columns = (named, *(Column(one["domain"], form=_percent) for one in written))
    found = [{tuple(row["weights"].values()): row for row in one["accuracies"]} for one in written]
    weights = {key: row["weights"] for of in found for key, row in of.items()}
    rows = tuple(
        (named.cell(weights[key]), *(_cell(of.get(key)) for of in found))
        for key in sorted(weights, key=lambda key: (sum(w != 0 for w in key), [-w for w in key]))
    )
    chance = ", ".join(f"{_percent(one['chance'])} % on {one['domain']}" for one in written)
    return Table(
        "Right answers of questions with choices, % (95 % interval)",
        columns,
        rows,
        f"{_sources(written)} Chance: {chance}.",
    )


def _sources(written: Sequence[Mapping[str, Any]]) -> str:
    if all(row["measured"] for one in written for row in one["accuracies"]):
        return "Measured on the calibration rows."
    return "Measured on the calibration rows; ~ foretold."


def _cell(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell("-")
    text = f"{'' if row['measured'] else '~'}{_percent(row['accuracy'])}"
    beside = f"{_percent(row['accuracy_low'])} to {_percent(row['accuracy_high'])}"
    if row["test"] is not None:
        beside += f"; test {_percent(row['test'])}"
    return Cell(text, beside, row["accuracy"])


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def right_parts(written: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """Give the table, and of each domain the questions that the sum of all breaks."""
    if not written:
        return ()
    count = len(written[0]["accuracies"][0]["weights"])
    lines = [line for one in written if count > 1 and (line := _broken(one)) is not None]
    if count > MOST_SHOWN:
        written = [
            {**one, "accuracies": [*filter(_single_or_all, one["accuracies"])]} for one in written
        ]
    return right_table(written), *lines


def _single_or_all(row: Mapping[str, Any]) -> bool:
    weights = list(row["weights"].values())
    return not {0.0, 1.0} >= set(weights) or sum(weights) in (0, 1, len(weights))


def _broken(one: Mapping[str, Any]) -> Line | None:
    """Name what the naive sum of all breaks of one domain, the surest first; None if unknown."""
    at = {tuple(row["weights"].values()): row for row in one["accuracies"]}
    naive = at.get(tuple(1.0 for _ in one["accuracies"][0]["weights"]))
    if naive is None:
        return None
    alone = at[tuple(float(name == one["adapter"]) for name in naive["weights"])]
    right = round(alone["positive"] * len(one["questions"]))
    asked = [one["questions"][broken["position"]] for broken in naive["breaks"]]
    named = [f"{textwrap.shorten(q['question'], LONGEST)!r} ({q['answer']})" for q in asked[:NAMED]]
    if len(asked) > NAMED:
        named.append(f"and {len(asked) - NAMED} more")
    how = "breaks" if naive["measured"] else "will break"
    claim = (
        f"The sum of all {how} {len(asked)} of {counted(right, 'question')} of {one['domain']} "
        "that its own adapter answers right"
    )
    return Line("; ".join(named), f"{claim}:") if named else Line("", f"{claim}.")
