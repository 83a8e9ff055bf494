"""What was measured of one domain's loss in lambda space: values and gradients, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput

__all__ = ["Sample", "position", "positions"]

Array = NDArray[np.float64]

_SAME = 1e-12
"""Task weights that differ by less are one."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A domain's answers at P task weights: R rows, K adapters, M target modules.

    points: (P, K). nll: (P, R), nats of each row's answer. gradient: (P, R, M, K), its derivative
    by each adapter's weight in each module; NaN at a point where only the value was asked for.
    tokens: (R,), of each row's answer. modules: names of the M target modules.

    Raises BadInput when the shapes do not belong together, a value is not finite, or there is no
    answer token.
    """

    points: Array
    nll: Array
    gradient: Array
    tokens: NDArray[np.int64]
    modules: tuple[str, ...]

    def __post_init__(self) -> None:
        count, adapters = self.points.shape
        rows = len(self.tokens)
        if self.nll.shape != (count, rows) or self.gradient.shape != (
            count, rows, len(self.modules), adapters,
        ):  # fmt: skip
            raise BadInput("points, values and gradients of a sample do not belong together")
        if not rows or not self.tokens.all():
            raise BadInput("a calibration row has no answer token")
        if not np.isfinite(self.nll).all():
            raise BadInput(
                "the model's likelihoods are not finite",
                hint="An adapter that large breaks the model; add with smaller task weights.",
            )

    @property
    def loss(self) -> Array:
        """Mean nats an answer token at each point: (P,)."""
        return np.asarray(self.nll.sum(axis=1) / self.tokens.sum())

    @property
    def slope(self) -> Array:
        """Derivative of the loss by each adapter's weight at each point: (P, K)."""
        return np.asarray(self.gradient.sum(axis=(1, 2)) / self.tokens.sum())

    @property
    def module_slope(self) -> Array:
        """Derivative of the loss by each adapter's weight in each module: (P, M, K)."""
        return np.asarray(self.gradient.sum(axis=1) / self.tokens.sum())

    def at(self, point: Array) -> int | None:
        """Give the position of a point that was measured; None when it was not."""
        return position(self.points, point)

    def measured_at(self, point: Array) -> int:
        """Give the position of a point that every plan measures: the base, or an own adapter."""
        at = self.at(point)
        assert at is not None, "base and own adapter are measured by every plan"
        return at

    @property
    def sloped(self) -> bool:
        """Whether slopes were measured anywhere."""
        return not bool(np.isnan(self.gradient).any(axis=(1, 2, 3)).all())

    def more(self, at: int, than: int | None = None) -> tuple[float, float]:
        """Give the loss at a measured point, or how much more it is than at another, and its error.

        The standard error is that of a ratio of sums over rows, linearised (Cochran, Sampling
        Techniques, 1977, section 6.3); what both points share cancels in it.
        """
        nats = self.nll[at] - (0.0 if than is None else self.nll[than])
        rows, tokens = len(self.tokens), float(self.tokens.sum())
        mean = float(nats.sum()) / tokens
        apart = np.sum((nats - mean * self.tokens) ** 2)
        return mean, float(np.sqrt(rows / max(1, rows - 1) * apart)) / tokens

    def among(self, chosen: Sequence[int]) -> Sample:
        """Give the points at which no other adapter takes part, in the weights of `chosen` alone.

        chosen: positions of adapters, in the order that the weights are to have.
        """
        kept = list(chosen)
        inside = ~np.delete(self.points, kept, axis=1).any(axis=1)
        return Sample(
            self.points[inside][:, kept],
            self.nll[inside],
            self.gradient[inside][..., kept],
            self.tokens,
            self.modules,
        )

    def joined(self, other: Sample) -> Sample:
        """Add points that were measured on the same rows."""
        return Sample(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.nll, other.nll]),
            np.concatenate([self.gradient, other.gradient]),
            self.tokens,
            self.modules,
        )


def position(points: Array, point: Array) -> int | None:
    """Give where a point (K,) stands among measured ones (P, K); None where it does not."""
    found = np.flatnonzero(np.abs(points - point).max(axis=1) < _SAME)
    return int(found[0]) if len(found) else None


def positions(points: Array, wanted: Array) -> list[int | None]:
    """Give where each of (S, K) points stands among measured ones (P, K), as `position`."""
    found: list[int | None] = [None] * len(wanted)
    for place in reversed(range(len(points))):  # the first of equal ones stays
        for at in np.flatnonzero(np.abs(wanted - points[place]).max(axis=1) < _SAME):
            found[int(at)] = place
    return found
