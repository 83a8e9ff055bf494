"""How many questions with choices a sum answers right, and which ones it will break.

A question is answered right where its margin is positive: the nats of its best wrong choice above
those of the right one. Where a margin was measured its sign is known; elsewhere `Margins` foretells
it with a standard error, and the question counts with the probability that it is positive. Errors
are taken as logistic, whose tails are longer than the normal distribution's: margins have a kink
where another wrong choice becomes the best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import sum_or_formula
from superpose.data.domain import Row
from superpose.errors import BadInput
from superpose.landscape.basis import OWN_SQUARE
from superpose.landscape.choice_sample import ChoiceSample
from superpose.landscape.margins import AWAY, BEND, Margins
from superpose.landscape.predicted import checked_weights
from superpose.landscape.sample import position
from superpose.shown import Column, Part, Shown, Table
from superpose.statistics import wilson

__all__ = ["Broken", "RightAnswers", "RightShare"]

Array = NDArray[np.float64]

LOGISTIC = math.pi / math.sqrt(3)
"""Standard deviation of the logistic distribution."""

_BROKEN = (
    Column("question", "question"),
    Column("right answer", "answer"),
    Column("margin before", "before", "+.2f"),
    Column("margin under the sum", "margin", "+.2f"),
    Column("probability of right", "probability", ".0%"),
)


@dataclass(frozen=True)
class RightShare(Shown):
    """One weighting on one domain: the share of questions answered right, with a 95 % interval.

    accuracy: the mean of the probabilities that each is answered right. accuracy_low,
    accuracy_high: for other questions of the domain; from having these and no others, and from what
    is foretold of them.
    positive: the share of the margins that are positive, as foretold. measured: whether nothing is
    foretold.
    """

    weights: Mapping[str, float]
    domain: str
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    positive: float
    measured: bool

    def to_json(self) -> dict[str, Any]:
        """Give one row of what `predict --json` has of right answers."""
        return {**vars(self), "weights": dict(self.weights)}

    def shown(self) -> tuple[Part, ...]:
        """Give one weighting on one domain."""
        how = "measured" if self.measured else "foretold"
        columns = (
            Column("task weights", lambda row: sum_or_formula(row.weights)),
            Column("domain", "domain"),
            Column("right answers", "accuracy", ".0%", ("accuracy_low", "accuracy_high")),
        )
        return (Table.of(f"Right answers, {how} (95 % interval)", columns, [self]),)


@dataclass(frozen=True)
class Broken:
    """A question that is right under some task weights and wrong under others.

    position: among the domain's questions. before, margin: nats of the best wrong choice above the
    right one's, under the first weights and under the others. probability: that it is right under
    the others all the same.
    """

    position: int
    question: str
    answer: str
    before: float
    margin: float
    probability: float

    def to_json(self) -> dict[str, Any]:
        """Give the question's position and its margins."""
        texts = {"question", "answer"}
        return {key: value for key, value in vars(self).items() if key not in texts}


@dataclass(frozen=True, eq=False)
class RightAnswers(Shown):
    """A domain's questions with choices under any sum of K adapters.

    adapters: their K names. domain: its name. own: the position of its own adapter. rows: the Q
    questions. sample: what was measured of them, in their order.

    Raises BadInput where these do not belong together.
    """

    adapters: tuple[str, ...]
    domain: str
    own: int
    rows: tuple[Row, ...]
    sample: ChoiceSample

    def __post_init__(self) -> None:
        questions, adapters = len(self.sample.right), self.sample.points.shape[1]
        if len(self.rows) != questions or len(self.adapters) != adapters:
            raise BadInput(
                f"{len(self.rows)} questions and {len(self.adapters)} adapters, and {questions} "
                f"questions were measured with {adapters} adapters",
                where=self.domain,
            )

    @cached_property
    def margins(self) -> Margins:
        """The margins of its questions."""
        return Margins.fit(self.sample, self.own)

    @property
    def foretells(self) -> bool:
        """Whether slopes were measured, without which nothing is foretold of other sums."""
        return not bool(np.isnan(self.sample.slope).all())

    @property
    def chance(self) -> float:
        """The share that blind guessing answers right."""
        return float(np.mean(1 / np.sum(self.sample.tokens > 0, axis=1)))

    @property
    def alone(self) -> Array:
        """Task weights of its own adapter alone: (K,)."""
        weights: Array = np.eye(len(self.adapters))[self.own]
        return weights

    def accuracy(self, weights: Sequence[float] | Array) -> RightShare:
        """Give the share of right answers at K task weights. Raises as `accuracies`."""
        return self.accuracies([list(weights)])[0]

    def accuracies(self, weights: Sequence[Sequence[float]] | Array) -> list[RightShare]:
        """Give the share of right answers at each of (S, K) task weights.

        Raises BadInput for another number of weights than of adapters, or one that is not finite.
        """
        points = checked_weights(weights, len(self.adapters))
        margin, chances = self._foretold(points)
        found = []
        for point, signs, right in zip(points.tolist(), margin > 0, chances, strict=True):
            share, low, high = _share(right)
            named = dict(zip(self.adapters, point, strict=True))
            measured = position(self.sample.points, np.array(point)) is not None
            found.append(
                RightShare(named, self.domain, share, low, high, float(np.mean(signs)), measured)
            )
        return found

    def breaks(
        self, weights: Sequence[float] | Array, against: Sequence[float] | Array | None = None
    ) -> tuple[Broken, ...]:
        """Give the questions that are right under one weighting and wrong under another.

        weights: (K,), of the sum that breaks them. against: (K,), under which they are right; the
        domain's own adapter alone by default. The surest come first. With the two exchanged these
        are the questions that the sum mends. Raises as `accuracies`.
        """
        before = self.alone if against is None else against
        points = checked_weights([list(before), list(weights)], len(self.adapters))
        margin, chances = self._foretold(points)
        places = np.flatnonzero((margin[0] > 0) & (margin[1] <= 0))
        order = places[np.lexsort((margin[1][places], chances[1][places]))]
        return tuple(
            Broken(
                int(q),
                self.rows[q].question,
                self.rows[q].answer,
                *(float(of[q]) for of in (margin[0], margin[1], chances[1])),
            )
            for q in order
        )

    def _foretold(self, points: Array) -> tuple[Array, Array]:
        """Give margins (S, Q) and the probabilities (S, Q) that they are positive.

        Where a weighting was measured, its margins themselves, and 0 or 1.
        """
        found = self.margins.at(points)
        margin = found.margin.copy()
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            chances = 1 / (1 + np.exp(-LOGISTIC * margin / found.error))
        for s, point in enumerate(points):
            if (at := position(self.sample.points, point)) is not None:
                margin[s] = self.sample.margin[at]
                chances[s] = margin[s] > 0
        return margin, chances

    def to_model(self) -> dict[str, Any]:
        """Give what a page needs to foretell any weighting: see `Margins` and `accuracies`.

        terms: positions of the task weights that are multiplied, all but the last of C: that is
        the own adapter's axis, in which a square has the share `own_square`. sizes: (C,). seen:
        (E, C). shares: (E, Q). scale: (Q,). points: (P, K) that were measured. margins: (P, Q).
        """
        found = self.margins
        return {
            "own": self.own,
            "own_square": OWN_SQUARE,
            "away": AWAY,
            "bend": BEND,
            "terms": [list(term) for term in found.basis.terms],
            "sizes": found.sizes.tolist(),
            "seen": found.seen.tolist(),
            "shares": found.shares.tolist(),
            "scale": found.scale.tolist(),
            "points": self.sample.points.tolist(),
            "margins": self.sample.margin.tolist(),
            "questions": [[row.question, row.answer] for row in self.rows],
        }

    def to_json(self, points: Sequence[Sequence[float]] | Array) -> dict[str, Any]:
        """Give the questions, and of each of (S, K) task weights the share and what breaks.

        Without slopes only of those that were measured.
        """
        known = [
            point
            for point in points
            if self.foretells or position(self.sample.points, np.array(point)) is not None
        ]
        return {
            "domain": self.domain,
            "adapter": self.adapters[self.own],
            "chance": self.chance,
            "questions": [
                {"question": row.question, "answer": row.answer, "choices": list(row.choices)}
                for row in self.rows
            ],
            "accuracies": [
                {
                    **found.to_json(),
                    "breaks": [one.to_json() for one in self.breaks(point)],
                    "mends": [one.to_json() for one in self.breaks(self.alone, point)],
                }
                for point, found in zip(known, self.accuracies(known), strict=True)
            ],
        }

    def shown(self) -> tuple[Part, ...]:
        """Give the questions that the naive sum of all breaks."""
        naive = np.ones(len(self.adapters))
        title = f"{self.domain}: right with its own adapter, wrong under the sum of all"
        return (Table.of(title, _BROKEN, self.breaks(naive)),)


def _share(right: Array) -> tuple[float, float, float]:
    """Give the mean of Q probabilities of being right, with its interval for other questions.

    Two errors add up: that of having these Q questions and no others, and that of not knowing of
    these themselves.
    """
    count, share = len(right), float(np.mean(right))
    drawn = share * (1 - share) / count
    unsure = float(np.sum(right * (1 - right))) / count**2
    of = count * drawn / (drawn + unsure) if drawn > 0 else float(count)
    return share, *wilson(share * of, of)
