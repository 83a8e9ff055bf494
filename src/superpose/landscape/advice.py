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

from superpose.adapter import formula
from superpose.landscape.best_weights import best_weights
from superpose.landscape.forecast import Forecast
from superpose.shown import Line, Part, Shown
from superpose.shown.words import joined

__all__ = ["Advice", "advise"]

Array = NDArray[np.float64]

KEPT = 0.9
"""A sum that keeps nine tenths of every adapter's gain is as good as switching between them."""

MOSTLY_KEPT = 0.75
"""With weights of their own, three quarters are worth having in one adapter."""

LITTLE = 0.25
"""Below a quarter the sum is nearly the base model: one adapter at a time is better."""

CANNOT_TELL = "cannot tell"
NO_GAIN = "no adapter gains more on its own domain than the calibration rows differ by chance"
MORE_TELLS = "more rows tell more, and so do adapters that were trained for longer"


@dataclass(frozen=True)
class Advice(Shown):
    """A verdict with its reason.

    naive, tuned: the smallest share, over domains that gain, of the own adapter's gain that the
    naive sum and the best weights keep; infinite where no domain gains more than chance would.
    weights: those that keep the most where the least is kept, by adapter.
    """

    verdict: str
    reason: str
    naive: float
    tuned: float
    weights: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Give the same as a dict."""
        return dict(vars(self))

    def shown(self) -> tuple[Part, ...]:
        """Give the verdict with its reason, and the weights best for the worst-off domain."""
        best = Line(formula(self.weights), "Best weights for the worst-off domain:")
        return Line(f"{self.reason}.", f"{self.verdict}."), best


def advise(forecast: Forecast) -> Advice:
    """Say what to do with the sum of all adapters."""
    gains = _gains(forecast)
    if not np.isfinite(gains).any():
        return Advice(
            CANNOT_TELL,
            f"{NO_GAIN}; {MORE_TELLS}",
            np.inf,
            np.inf,
            dict.fromkeys(forecast.names, 1.0),
        )
    # The share lost is the regret in units of the gain.
    best = best_weights(forecast.losses, objective="worst", units=gains)
    naive = _kept(forecast, gains, np.ones(len(forecast.names)))
    tuned = _kept(forecast, gains, best)
    weights = dict(zip(forecast.names, (round(w, 4) for w in best.tolist()), strict=True))
    least, where = float(naive.min()), int(naive.argmin())
    most, there = float(tuned.min()), int(tuned.argmin())
    sizes = [f"{name} ({gain:.2g} nats an answer token)" for name, gain in
             zip(forecast.domains, gains.tolist(), strict=True)]  # fmt: skip
    if least >= KEPT:
        verdict = "add them"
        reason = f"the naive sum keeps {_percent(least)} of what the adapter of {sizes[where]} \
gains, and more elsewhere"
    elif most >= MOSTLY_KEPT:
        verdict = "add them with these weights"
        reason = f"they keep at least {_percent(most)} of every gain (least for {sizes[there]}), \
the naive sum {_percent(least)} for {sizes[where]}"
    elif most >= LITTLE:
        verdict = "train on merged data instead"
        reason = f"even the best weights keep only {_percent(most)} of what the adapter of \
{sizes[there]} gains"
    else:
        verdict = "keep apart"
        left = f"more than {_percent(most)}" if most > 0 else "any"
        reason = f"no weights leave the adapter of {sizes[there]} {left} of its gain"
    return Advice(verdict, reason + _left_out(forecast, gains), least, most, weights)


def _left_out(forecast: Forecast, gains: Array) -> str:
    """Name the domains whose gain is within chance, and so has no share."""
    named = [name for name, g in zip(forecast.domains, gains, strict=True) if not np.isfinite(g)]
    if not named:
        return ""
    return f"; left out: {joined(named)}, whose own adapter gains no more than chance would"


def _gains(forecast: Forecast) -> Array:
    """Give what each own adapter gains over the base, in nats; infinity where it may be nothing.

    An adapter that gains nothing has nothing to lose.
    """
    base = forecast.predict(np.zeros((1, len(forecast.names))))
    return np.array([row.sure_interference or np.inf for row in base])


def _kept(forecast: Forecast, gains: Array, weights: Array) -> Array:
    """Give the share of each own adapter's gain over the base that is left at these weights."""
    losses = enumerate(forecast.losses)
    lost = [loss.value(weights) - loss.value(forecast.own(i)) for i, loss in losses]
    return np.where(np.isfinite(gains), 1 - np.array(lost) / gains, np.inf)


def _percent(share: float) -> str:
    """Give a share in per cent; with a digit more where it would else look like a border."""
    if not np.isfinite(share):
        return "all"
    at_border = round(share, 2) in (KEPT, MOSTLY_KEPT, LITTLE)
    return f"{100 * share:.{1 if at_border else 0}f} %"
