"""A study's accuracies, among choices and of answers said, of every subset and method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from superpose.measure.choice_score import ChoiceScore
from superpose.measure.evaluate import Score
from superpose.measure.exact_match import ExactMatch
from superpose.statistics import wilson
from superpose.studies.beside import spread
from superpose.studies.cells import UNION
from superpose.studies.scores import StudyScores
from superpose.studies.summary import AccuracyRow, MatchRow

__all__ = ["accuracies", "matches"]


def accuracies(scores: StudyScores) -> tuple[AccuracyRow, ...]:
    """Give every subset, domain and method whose test rows have choices."""
    found = []
    for names, domain, method, each in _of_methods(scores):
        chosen = [score.choices for score in each if score.choices is not None]
        if chosen and len(chosen) == len(each):
            found.append(_row(names, domain, method, chosen))
    return tuple(found)


def matches(scores: StudyScores) -> tuple[MatchRow, ...]:
    """Give every subset, domain and method whose test questions were answered greedily."""
    found = []
    for names, domain, method, each in _of_methods(scores):
        said = [score.match for score in each if score.match is not None]
        if said and len(said) == len(each):
            found.append(_match_row(names, domain, method, said))
    return tuple(found)


def _of_methods(
    scores: StudyScores,
) -> Iterator[tuple[tuple[str, ...], str, str, list[Score]]]:
    methods = dict.fromkeys(("base", "single", *scores.methods))
    for names in scores.subsets:
        for domain in (*names, UNION):
            for method in methods:
                yield names, domain, method, scores.each(method, names, domain)


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
