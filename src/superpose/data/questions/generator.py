"""The demo's three question sets: seeded, made here, no data from elsewhere.

Each domain answers in a house style of its own (worked steps, clinic cards, filing notes) that
a base model does not expect, so that an adapter has something to learn and a sum of adapters
something to mix up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from superpose.data.domain import Row
from superpose.data.questions import finance, math, medicine
from superpose.data.questions.fact import Subject, shuffled
from superpose.errors import BadInput

__all__ = ["DOMAINS", "generate", "generate_spare"]

DOMAINS: dict[str, Callable[[Random], list[Subject]]] = {
    "finance": finance.subjects,
    "math": math.subjects,
    "medicine": medicine.subjects,
}
"""Domain name -> its subjects, worded with the chance given."""


def generate(domain: str, train: int, test: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Make a domain's training and test rows.

    domain: "math", "medicine" or "finance". train, test: how many rows of each, at least one.
    seed: the same seed gives the same rows in every process and on every Python version.

    No question appears twice, and no test row is about a subject (pair of numbers, condition,
    company) that a training row is about.

    Raises BadInput for an unknown domain, fewer than one row, or more rows than there are.

        >>> seen, unseen = generate("math", train=4, test=2, seed=0)
        >>> len(seen), len(unseen)
        (4, 2)
    """
    seen, unseen, _ = _parts(domain, train, test, seed)
    return seen[:train], unseen


def generate_spare(domain: str, train: int, test: int, most: int, seed: int) -> list[Row]:
    """Make at most `most` more rows beside those of `generate` with the same arguments.

    None of them is about a subject that a test row is about. Subjects that no training row is
    about come first: what an adapter has seen of a subject flatters it on the next question.

    Raises BadInput as `generate` does.
    """
    seen, _, subject_of = _parts(domain, train, test, seed)
    trained = {subject_of[row] for row in seen[:train]}
    return sorted(seen[train:], key=lambda row: subject_of[row] in trained)[:most]


def _parts(
    domain: str, train: int, test: int, seed: int
) -> tuple[list[Row], list[Row], dict[Row, int]]:
    """All rows that may be trained on, in order; the test rows; each row's subject, numbered."""
    if domain not in DOMAINS:
        raise BadInput(f"no question set {domain!r}", hint=f"there are: {', '.join(DOMAINS)}")
    if train < 1 or test < 1:
        raise BadInput(
            f"at least one training and one test row are needed, not {train} and {test}",
            where=f"question set {domain!r}",
        )
    chance = Random(f"{domain} {seed}")
    subjects = shuffled(chance, DOMAINS[domain](chance))
    held_out = _held_out(subjects, train, test, domain)
    return (
        _mixed(subjects[held_out:], chance),
        _mixed(subjects[:held_out], chance)[:test],
        {row: number for number, subject in enumerate(subjects) for row in subject},
    )


def _held_out(subjects: Sequence[Subject], train: int, test: int, domain: str) -> int:
    """How many subjects go to the test: in proportion, with room for both counts of rows."""
    facts = min(len(subject) for subject in subjects)
    fewest = -(-test // facts)
    most = len(subjects) + -train // facts
    if fewest > most:
        raise BadInput(
            f"{train} training and {test} test rows are more than there are: "
            f"{len(subjects)} subjects with {facts} rows each, none in both",
            where=f"question set {domain!r}",
            hint=f"ask for at most {(len(subjects) - 1) * facts} rows in all",
        )
    return min(max(round(len(subjects) * test / (train + test)), fewest), most)


def _mixed(subjects: Sequence[Subject], chance: Random) -> list[Row]:
    """The subjects' rows in a random order."""
    return shuffled(chance, [row for subject in subjects for row in subject])
