"""What was measured of questions with choices in lambda space: nats of every choice, and slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput

__all__ = ["ChoiceSample", "margins"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ChoiceSample:
    """A domain's choices at P task weights: Q questions of up to C choices, K adapters.

    points: (P, K). nll: (P, Q, C), nats of all tokens of each choice; infinite where a question has
    fewer than C. right: (Q,) the answer's place. tokens: (Q, C) of each choice, 0 where there is
    none. slope: (P, Q, K), the derivative of each question's `margin` by each adapter's weight; NaN
    at a point where only the values were asked for.

    Raises BadInput when the shapes do not belong together, or a value is not finite.
    """

    points: Array
    nll: Array
    slope: Array
    right: NDArray[np.int64]
    tokens: NDArray[np.int64]

    def __post_init__(self) -> None:
        count, adapters = self.points.shape
        questions = len(self.right)
        if (
            self.nll.shape != (count, *self.tokens.shape)
            or self.slope.shape != (count, questions, adapters)
            or len(self.tokens) != questions
        ):
            raise BadInput("points, values and slopes of choices do not belong together")
        if not np.isfinite(self.nll[:, self.tokens > 0]).all():
            raise BadInput(
                "the model's likelihoods are not finite",
                hint="An adapter that large breaks the model; add with smaller task weights.",
            )

    @property
    def margin(self) -> Array:
        """Nats of each question's best wrong choice above those of the right one: (P, Q)."""
        return margins(self.nll, self.right)

    def joined(self, other: ChoiceSample) -> ChoiceSample:
        """Add points that were measured with the same questions."""
        return ChoiceSample(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.nll, other.nll]),
            np.concatenate([self.slope, other.slope]),
            self.right,
            self.tokens,
        )


def margins(nll: Array, right: NDArray[np.int64]) -> Array:
    """Give nats of the best wrong choice minus those of the right one: (..., Q).

    nll: (..., Q, C), infinite where there is no choice. right: (Q,). Positive is right.
    """
    here = np.arange(nll.shape[-1]) == right[:, None]
    wrong = np.where(here, np.inf, nll).min(axis=-1)
    return np.asarray(wrong - nll[..., np.arange(len(right)), right])
