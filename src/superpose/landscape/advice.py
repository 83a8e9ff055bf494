"""What to do about K adapters: add them, add them with these weights, or something else.

By the share of what each domain's own adapter gains over the base that is left in the sum. A gain
whose 95 % interval over the calibration rows holds 0 has no share: 149 % of nothing says nothing.
Where the borders lie is judgement; they stand here with their reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.landscape.adding_up import CANNOT_TELL, KEPT
from superpose.landscape.best_weights import best_weights
from superpose.landscape.forecast import Forecast
from superpose.landscape.predictions import LOOK, Predictions, over_all
from superpose.shown import Line, Part, Shown

__all__ = ["Advice", "advise"]

Array = NDArray[np.float64]

MOSTLY_KEPT = 0.75
"""With weights of their own, three quarters are worth having in one adapter."""

LITTLE = 0.25
"""Below a quarter the sum is nearly the base model: one adapter at a time is better."""


@dataclass(frozen=True)
class Advice(Shown):
    """A verdict with its reason.

    claim, reason: the sentence that says so, up to a colon and behind it. naive, tuned: the
    smallest share, over domains that gain, of the own adapter's gain that the naive sum and the
    best weights keep; infinite where no domain gains more than chance would. weights: those that
    keep the most where the least is kept, by adapter. Both None where no weights but those that
    were measured are known.
    """

    verdict: str
    claim: str
    reason: str
    naive: float
    tuned: float | None
    weights: dict[str, float] | None

    def to_json(self) -> dict[str, Any]:
        """Give the same as a dict; a share that does not exist is null."""
        shares = {"naive": self.naive, "tuned": self.tuned}
        known = {k: v if v is not None and np.isfinite(v) else None for k, v in shares.items()}
        return {**vars(self), **known}

    def shown(self) -> tuple[Part, ...]:
        """Give the sentence."""
        return (Line(self.reason, self.claim),)


def advise(forecast: Forecast) -> Advice:
    """Say what to do with the sum of all adapters.

    Raises BadInput where the sum of all, the base or an own adapter is neither measured nor can be
    foretold.
    """
    gains, count = _gains(forecast), len(forecast.names)
    naive = _kept(forecast, gains, np.ones(count))
    least = float(naive.min())
    asked, tuned, weights = [np.zeros(count), *np.eye(count), np.ones(count)], None, None
    verdict = "add them" if least >= KEPT else LOOK
    if not np.isfinite(gains).any():
        verdict = CANNOT_TELL
        if forecast.foretells:
            tuned, weights = np.inf, dict.fromkeys(forecast.names, 1.0)
    elif forecast.foretells:
        # The share lost is the regret in units of the gain.
        found = best_weights(forecast.losses, objective="worst", units=gains)
        best = np.round(found, 4)
        tuned = float(_kept(forecast, gains, found).min())
        weights = dict(zip(forecast.names, best.tolist(), strict=True))
        verdict, asked = _verdict(least, tuned), [*asked, best]
    known = Predictions(forecast.names, forecast.domains, forecast.predict(np.array(asked)))
    rows = sum(len(sample.tokens) for sample in forecast.samples)
    claim, reason = over_all(known, verdict, weights, rows)
    return Advice(verdict, claim, reason, least, tuned, weights)


def _verdict(naive: float, tuned: float) -> str:
    """Give what to do by the smallest shares that the naive sum and the best weights keep."""
    if naive >= KEPT:
        return "add them"
    if tuned >= MOSTLY_KEPT:
        return "add them with these weights"
    return "train on merged data instead" if tuned >= LITTLE else "keep apart"


def _loss(forecast: Forecast, domain: int, weights: Array) -> float:
    """Give a domain's loss, measured or foretold."""
    sample = forecast.samples[domain]
    at = sample.at(weights)
    if at is not None:
        return float(sample.loss[at])
    return forecast.losses[domain].value(weights)


def _gains(forecast: Forecast) -> Array:
    """Give what each own adapter gains over the base, in nats; infinity where it may be nothing.

    An adapter that gains nothing has nothing to lose.
    """
    base = forecast.predict(np.zeros((1, len(forecast.names))))
    return np.array([row.sure_interference or np.inf for row in base])


def _kept(forecast: Forecast, gains: Array, weights: Array) -> Array:
    """Give the share of each own adapter's gain over the base that is left at these weights."""
    each = range(len(forecast.domains))
    lost = [_loss(forecast, i, weights) - _loss(forecast, i, forecast.own(i)) for i in each]
    return np.where(np.isfinite(gains), 1 - np.array(lost) / gains, np.inf)
