"""The sum at the adapters' own size: as they add up, or each by its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from superpose.adapter import Adapter, Delta
from superpose.adapter.progress import told
from superpose.compose.deltas_alone import check_deltas_alone
from superpose.compose.method import Method
from superpose.compose.weighted import weighted_sum
from superpose.errors import BadSetting
from superpose.lowrank import norm

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress

RULES = ("mean", "meta")


@dataclass(frozen=True)
class EqualNorm(Method):
    """The sum, brought to the size that one adapter has; exact up to the weights, which are norms'.

    With D_k = lambda_k dW_k, of which those that are zero do not count,
    rule "mean": in each module (sum_k D_k) mean_k |D_k| / |sum_k D_k|, the last step of Pico
    (arXiv 2604.16826); rule "meta": sum_k D_k |D_k|^2 / sum_j |D_j|^2, norms over all modules
    (MetaGPT, arXiv 2406.11385).

    Merging raises BadSetting for another rule, Refused for adapters that hold more than deltas.
    """

    name: ClassVar[str] = "equal-norm"

    adds: ClassVar[bool] = False

    rule: str = "mean"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise BadSetting(f"`{self.rule}` is none of {', '.join(RULES)}", where="rule")

    def merged(
        self, parts: Sequence[Adapter], weights: Sequence[float], progress: Progress | None
    ) -> Adapter:
        """Give the sum with weights from norms."""
        check_deltas_alone(parts, weights, self.name)
        total = weighted_sum(parts, weights)
        weighted = [weight * part for part, weight in zip(parts, weights, strict=True)]
        if self.rule == "meta":
            lengths = [part.norm() for part in weighted]
            largest = max(lengths) or 1.0
            shares = [(length / largest) ** 2 for length in lengths]
            whole = math.fsum(shares) or 1.0
            scaled = [w * share / whole for w, share in zip(weights, shares, strict=True)]
            deltas = {**total.deltas, **weighted_sum(parts, scaled).deltas}
            what = "a sum by squared norms"
        else:
            deltas = {key: _rescaled(key, d, weighted) for key, d in told(total, progress)}
            what = "a sum at the mean norm"
        return replace(total, deltas=deltas, made=self.made_of(total, parts, what))


def _rescaled(key: str, delta: Delta, parts: Sequence[Adapter]) -> Delta:
    """Give a module's sum at the mean of the norms of its parts."""
    lengths = [norm(part[key].terms) for part in parts if key in part]
    counted = [length for length in lengths if length > 0.0]
    size = norm(delta.terms)
    if not counted or size == 0.0:
        return delta
    factor = math.fsum(counted) / len(counted) / size
    return delta.with_coefficients(lambda c: c * factor)
