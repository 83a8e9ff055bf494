"""What a forecast says, looked up: the share of each gain that is kept, and the verdict on it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.landscape.adding_up import (
    Share,
    for_all,
    least,
    share_text,
    sum_of,
    which_add_up,
)
from superpose.landscape.advice import CANNOT_TELL, MORE_TELLS, NO_GAIN
from superpose.landscape.predicted import Predicted
from superpose.shown import Line, Part, Shown
from superpose.shown.words import counted, weights_text

__all__ = ["ForecastVerdict", "Predictions", "forecast_verdict"]


class Predictions:
    """Predictions by task weights and domain.

    rows: of every subset, and of whatever weights are asked for. An adapter's own domain stands at
    the same place in `domains` as the adapter in `adapters`.
    """

    def __init__(
        self, adapters: Sequence[str], domains: Sequence[str], rows: Iterable[Predicted]
    ) -> None:
        self.adapters = adapters
        self.domains = domains
        self._rows = {(tuple(row.weights.values()), row.domain): row for row in rows}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Predictions:
        """Read what `predict --json` prints, or a study's forecast."""
        rows = (*found["rows"], *found.get("best", ()))
        return cls(found["adapters"], found["domains"], map(Predicted.from_json, rows))

    @property
    def base(self) -> tuple[float, ...]:
        """The task weights of the base model."""
        return (0.0,) * len(self.adapters)

    @property
    def naive(self) -> tuple[float, ...]:
        """The task weights of the naive sum."""
        return (1.0,) * len(self.adapters)

    def own(self, domain: str) -> tuple[float, ...]:
        """Give the task weights of a domain's own adapter alone."""
        place = list(self.domains).index(domain)
        return tuple(float(k == place) for k in range(len(self.adapters)))

    def at(self, weights: Sequence[float], domain: str) -> Predicted:
        """Give the prediction for a weighting on a domain. Raises KeyError where there is none."""
        return self._rows[tuple(weights), domain]

    def share(self, weights: Sequence[float], domain: str) -> Share:
        """Give what a domain keeps at these weights of its own adapter's gain over the base.

        None of a gain that may be nothing. The interval is that of the interference, as if the
        gain were exact: what is not known of the gain counts by what is lost of it alone, a tenth
        where nine tenths are kept.
        """
        row = self.at(weights, domain)
        gain = self.at(self.base, domain).sure_interference
        if gain is None:
            return Share(domain, None, None, None)
        lost = (row.interference, row.interference_high, row.interference_low)
        # Of a single calibration row there is no interval.
        kept, low, high = (1 - nats / gain if math.isfinite(nats) else None for nats in lost)
        return Share(domain, kept, low, high)

    def least(self, weights: Sequence[float]) -> Share:
        """Give the domain that keeps least."""
        return least([self.share(weights, domain) for domain in self.domains])

    def sums(self) -> dict[tuple[str, ...], list[Share]]:
        """Give what the naive sum of every subset of several keeps on each domain of its own."""
        count = len(self.adapters)
        found = {}
        for size in range(2, count + 1):
            for chosen in itertools.combinations(range(count), size):
                weights = tuple(float(k in chosen) for k in range(count))
                names = tuple(self.adapters[k] for k in chosen)
                found[names] = [self.share(weights, self.domains[k]) for k in chosen]
        return found


@dataclass(frozen=True)
class ForecastVerdict(Shown):
    """What a forecast says, in sentences: each a claim up to a colon and the figures behind it.

    sentences: which sums add up, and what to do with the sum of all; of one adapter what it keeps.
    naive, best: what the naive sum of all and the best weights keep, at least.
    """

    sentences: tuple[tuple[str, str], ...]
    naive: Share
    best: Share

    def shown(self) -> tuple[Part, ...]:
        """Give the sentences."""
        return tuple(Line(figures, claim, whole=True) for claim, figures in self.sentences)


def forecast_verdict(
    known: Predictions, verdict: str, weights: Mapping[str, float], rows: int
) -> ForecastVerdict:
    """Word the verdict of an advice.

    known: every subset, and the advice's own weights. rows: of calibration, all domains together.
    """
    points = counted(rows, "calibration row")
    if verdict == CANNOT_TELL:
        none = known.least(known.naive)
        return ForecastVerdict(((f"{NO_GAIN}:", f"{MORE_TELLS} ({points})."),), none, none)
    naive = known.least(known.naive)
    best = known.least([weights[name] for name in known.adapters])
    told = weights_text(weights)
    if len(known.adapters) == 1:
        then = f"with its best task weight, {told}, it {sum_of(best)} ({points})."
        sentence = ("One adapter alone is disturbed by none:", then)
        return ForecastVerdict((sentence,), naive, best)
    advice = "keep them apart" if verdict == "keep apart" else verdict
    what = (
        f"{for_all(len(known.adapters))}, {advice}:",
        f"the best weights, {told}, keep at least {share_text(best)} of each adapter's "
        f"gain, least on {best.domain}, and the naive sum at least {share_text(naive)}, least "
        f"on {naive.domain} ({points}).",
    )
    return ForecastVerdict((which_add_up(known.sums(), points), what), naive, best)
