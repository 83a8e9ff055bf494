"""How far a written sum is from the sum, and whether that is near enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from superpose.errors import DoesNotHold
from superpose.shown import Line, Part, Shown

__all__ = ["STAYS", "Verification"]

STAYS = "What was written stays, for inspection. Is this the adapters' base model?"
"""What is said of a result that does not hold."""


@dataclass(frozen=True)
class Verification(Shown):
    """How far a result is from the sum of its parents' deltas.

    logits_error: |logits - right| / |right - base's|. weights_error: |written - sum| / |sum|,
    Frobenius over all modules. logits_tolerance, weights_tolerance: the largest errors that
    rounding explains. approximate: the result has less rank than the sum, so it may differ and
    nothing is insisted on.
    """

    logits_error: float
    weights_error: float
    logits_tolerance: float
    weights_tolerance: float
    approximate: bool

    @property
    def holds(self) -> bool:
        """Whether both errors are within the tolerance; NaN is not."""
        return (
            self.logits_error <= self.logits_tolerance
            and self.weights_error <= self.weights_tolerance
        )

    def insist(self) -> None:
        """Raise DoesNotHold when the result is meant to be exact and is not."""
        if not self.approximate and not self.holds:
            raise DoesNotHold(
                f"the result is not the sum: {self}",
                hint=STAYS,
            )

    def to_json(self) -> dict[str, Any]:
        """Give the figures and whether they hold (null for an approximation)."""
        return {**asdict(self), "holds": None if self.approximate else self.holds}

    def __str__(self) -> str:
        if self.approximate:
            return (
                f"an approximation: logits differ by {self.logits_error:.2g} of the sum's effect, "
                f"deltas by {self.weights_error:.2g}"
            )
        return (
            f"logits differ by {self.logits_error:.2g} of the sum's effect (allowed: "
            f"{self.logits_tolerance:.2g}), deltas by {self.weights_error:.2g} (allowed: "
            f"{self.weights_tolerance:.2g})"
        )

    def shown(self) -> tuple[Part, ...]:
        """Give whether it is the sum, and both errors."""
        verdict = "is the sum:" if self.holds else "is not the sum:"
        return (Line(str(self), "" if self.approximate else f"The result {verdict}", whole=True),)
