"""A study's accuracies, among choices and of answers said, of every subset and method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from superpose.measure.choice_score import ChoiceScore
from superpose.measure.evaluate import Score
from superpose.measure.exact_match import ExactMatch
from superpose.statistics import wilson
from superpose.studies.beside import spread
from superpose.studies.cells import UNION
from superpose.studies.scores import StudyScores
from superpose.studies.summary import AccuracyRow, MatchRow

__all__ = ["accuracies", "matches"]

Counted = TypeVar("Counted")
Row = TypeVar("Row")


def accuracies(scores: StudyScores) -> tuple[AccuracyRow, ...]:
    """Give every subset, domain and method whose test rows have choices."""
    return tuple(_rows(scores, lambda score: score.choices, _row))


def matches(scores: StudyScores) -> tuple[MatchRow, ...]:
    """Give every subset, domain and method whose test questions were answered greedily."""
    return tuple(_rows(scores, lambda score: score.match, _match_row))


def _rows(
    scores: StudyScores,
    part: Callable[[Score], Counted | None],
    row: Callable[[tuple[str, ...], str, str, Sequence[Counted]], Row],
) -> Iterator[Row]:
    """Give a row of each subset, domain and method whose score has that part with every seed."""
    methods = dict.fromkeys(("base", "single", *scores.methods))
    for names in scores.subsets:
        for domain in (*names, UNION):
            for method in methods:
                each = [part(score) for score in scores.each(method, names, domain)]
                whole = [counted for counted in each if counted is not None]
                if whole and len(whole) == len(each):
                    yield row(names, domain, method, whole)


def _match_row(
    names: tuple[str, ...], domain: str, method: str, said: Sequence[ExactMatch]
) -> MatchRow:
    share = spread([match.share for match in said])
    questions = len(said[0].hits)
    low, high = wilson(share.mean * questions, questions)
    return MatchRow(names, domain, method, questions, share, (round(low, 6), round(high, 6)))


def _row(
    names: tuple[str, ...], domain: str, method: str, chosen: Sequence[ChoiceScore]
) -> AccuracyRow:
    accuracy = spread([choices.accuracy for choices in chosen])
    questions = chosen[0].questions
    ends = wilson(accuracy.mean * questions, questions)
    return AccuracyRow(
        subset=names,
        domain=domain,
        method=method,
        questions=questions,
        chance=round(chosen[0].chance, 6),
        accuracy=accuracy,
        per_token=spread([choices.accuracy_per_token for choices in chosen]),
        interval=(round(ends[0], 6), round(ends[1], 6)),
    )
