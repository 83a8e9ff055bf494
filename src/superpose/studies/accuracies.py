"""A study's accuracies among choices, of every subset and method: from its scores."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.measure.choice_score import ChoiceScore
from superpose.statistics import wilson
from superpose.studies.beside import spread
from superpose.studies.cells import UNION, domain_subsets
from superpose.studies.scores import StudyScores
from superpose.studies.summary import AccuracyRow

__all__ = ["accuracies"]


def accuracies(scores: StudyScores) -> tuple[AccuracyRow, ...]:
    """Give every subset, domain and method whose test rows have choices."""
    methods = dict.fromkeys(("base", "single", *scores.methods))
    found = []
    for names in domain_subsets(scores.domains):
        for domain in (*names, UNION):
            for method in methods:
                each = [score.choices for score in scores.each(method, names, domain)]
                if each and all(each):
                    chosen = [choices for choices in each if choices is not None]
                    found.append(_row(names, domain, method, chosen))
    return tuple(found)


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
