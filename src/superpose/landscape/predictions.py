"""What a forecast says, looked up: the share of each gain that is kept, and the verdict on it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.landscape.adding_up import (
    CANNOT_TELL,
    MORE_TELLS,
    NO_GAIN,
    Share,
    for_all,
    least,
    lights,
    share_text,
    sum_of,
    which_add_up,
)
from superpose.landscape.predicted import FORETOLD, MEASURED, Predicted
from superpose.shown import Line, Part, Shown, Table
from superpose.shown.words import counted, figure, joined, weights_text

__all__ = ["LOOK", "ForecastVerdict", "Predictions", "forecast_verdict", "over_all"]

LOOK = "look for better weights"
"""The advice where a sum was measured that does not add up, and no other weights are known."""


class Predictions:
    """Predictions by task weights and domain.

    rows: of every subset, and of whatever weights are asked for. An adapter's own domain stands at
    the same place in `domains` as the adapter in `adapters`. calibration: rows of each domain,
    where they are known.
    """

    def __init__(
        self,
        adapters: Sequence[str],
        domains: Sequence[str],
        rows: Iterable[Predicted],
        calibration: Mapping[str, int] | None = None,
    ) -> None:
        self.adapters = adapters
        self.calibration = calibration or {}
        self.domains = domains
        self._rows = {(tuple(row.weights.values()), row.domain): row for row in rows}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Predictions:
        """Read what `predict --json` prints, or a study's forecast."""
        rows = (*found["predictions"], *found.get("best", ()), *found.get("asked", ()))
        calibration = found.get("calibration", {}).get("rows_of")
        known = map(Predicted.from_json, rows)
        return cls(found["adapters"], found["domains"], known, calibration)

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
        return self.kept_of(domain, row.interference, row.interference_low, row.interference_high)

    def kept_of(self, domain: str, lost: float, low: float, high: float) -> Share:
        """Give what a domain keeps that loses so many nats against its own adapter; as `share`.

        low, high: the ends of the interval of what is lost.
        """
        gain = self.at(self.base, domain).sure_interference
        if gain is None:
            return Share(domain, None, None, None)
        # Of a single calibration row there is no interval.
        kept, least_kept, most_kept = (
            1 - nats / gain if math.isfinite(nats) else None for nats in (lost, high, low)
        )
        return Share(domain, kept, least_kept, most_kept)

    def least(self, weights: Sequence[float]) -> Share:
        """Give the domain that keeps least."""
        return least([self.share(weights, domain) for domain in self.domains])

    def resting(self, rows: int, weightings: Iterable[Sequence[float]]) -> str:
        """Say what the figures of some weightings rest on: each on the domains of its own adapters.

        rows: of calibration, all domains together.
        """
        kinds = {
            self.at(weights, domain).how
            for weights in weightings
            for weight, domain in zip(weights, self.domains, strict=True)
            if weight and (tuple(weights), domain) in self._rows
        }
        points = counted(rows, "calibration row")
        if len(self.domains) > 1:
            points += f" of {len(self.domains)} domains"
        if kinds == {MEASURED}:
            return f"measured on {points}"
        if kinds == {FORETOLD}:
            return f"foretold from {points}"
        return f"in part measured on, in part foretold from, {points}"

    def sized(self, share: Share) -> str:
        """Name a share's domain, with the size of the gain that it is a share of."""
        if share.kept is None:
            return f"on {share.domain}"
        return f"of {share.domain}'s {figure(self.gain(share.domain), '.2g')} nats"

    def left_out(self) -> str:
        """Name the domains whose gain is within chance, and so has no share."""
        none = [d for d in self.domains if self.at(self.base, d).sure_interference is None]
        if not none:
            return ""
        return f"; left out: {joined(none)}, whose own adapter gains no more than chance would"

    def gain(self, domain: str) -> float:
        """Give what a domain's own adapter gains over the base, in nats an answer token."""
        base, own = self.at(self.base, domain), self.at(self.own(domain), domain)
        return base.nll - own.nll

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
    """What is known of the sums, in sentences: each a claim, and the figures behind it.

    sentences: which sums add up, and what to do with the sum of all; of one adapter what it keeps;
    of weightings that were asked about, what each keeps. lights: the shares behind the first, a
    light for each sum. naive, best: what the naive sum of all and
    the best weights keep, at least; None where it is not known.
    """

    sentences: tuple[tuple[str, str], ...]
    naive: Share | None
    best: Share | None
    lights: Table | None = None

    def shown(self) -> tuple[Part, ...]:
        """Give which sums add up, a light for each, and the other sentences."""
        first, *others = (Line(figures, claim) for claim, figures in self.sentences)
        return (first, *([self.lights] if self.lights else []), *others)


def forecast_verdict(
    known: Predictions,
    verdict: str,
    weights: Mapping[str, float] | None,
    rows: int,
    asked: Sequence[Sequence[float]] = (),
) -> ForecastVerdict:
    """Word the verdict of an advice.

    known: every sum, and the advice's own weights, None where none are known. rows: of calibration,
    all domains together. asked: weightings that it is about in place of every sum.
    """
    if asked:
        said = tuple(_asked(known, each, rows) for each in asked)
        return ForecastVerdict(said, None, None)
    if verdict == CANNOT_TELL:
        none = known.least(known.naive)
        return ForecastVerdict((over_all(known, verdict, weights, rows),), none, none)
    best = None if weights is None else known.least([weights[name] for name in known.adapters])
    sentences, light = [over_all(known, verdict, weights, rows)], None
    if len(known.adapters) > 1:
        sums = known.sums()
        points = ([float(name in names) for name in known.adapters] for names in sums)
        light = lights(sums, known.resting(rows, points), known.calibration)
        sentences.insert(0, (which_add_up(sums), ""))
    return ForecastVerdict(tuple(sentences), known.least(known.naive), best, light)


def over_all(
    known: Predictions, verdict: str, weights: Mapping[str, float] | None, rows: int
) -> tuple[str, str]:
    """Say what to do with the sum of all, up to a colon, and the figures that say so."""
    naive = known.least(known.naive)
    told = [] if weights is None else [weights[name] for name in known.adapters]
    points = known.resting(rows, [known.naive, *([told] if told else [])])
    if verdict == CANNOT_TELL:
        return f"{NO_GAIN}:", f"{MORE_TELLS} ({points})."
    if len(known.adapters) == 1:
        return "One adapter alone is disturbed by none:", _single(known, weights, points)
    claim = f"{for_all(len(known.adapters))}, {_ADVICE.get(verdict, verdict)}:"
    kept = f"at least {share_text(naive)} of each adapter's gain, least {known.sized(naive)}"
    points += known.left_out()
    if weights is None:
        then = "" if verdict != LOOK else "; `superpose tune` finds those that keep most"
        return claim, f"the naive sum keeps {kept} ({points}){then}."
    best = known.least(told)
    return claim, (
        f"the best weights, {weights_text(weights)}, keep at least {share_text(best)} of each "
        f"adapter's gain, least {known.sized(best)}, and the naive sum at least "
        f"{share_text(naive)}, least {known.sized(naive)} ({points})."
    )


_ADVICE = {"keep apart": "keep them apart"}


def _single(known: Predictions, weights: Mapping[str, float] | None, points: str) -> str:
    if weights is not None:
        best = known.least([weights[name] for name in known.adapters])
        return f"with its best task weight, {weights_text(weights)}, it {sum_of(best)} ({points})."
    gain = known.gain(known.domains[0])
    return f"it gains {figure(gain, '.3f')} nats an answer token over the base ({points})."


def _asked(known: Predictions, weights: Sequence[float], rows: int) -> tuple[str, str]:
    """Say what a weighting keeps where it keeps least of those that take part in it."""
    part = [d for d, weight in zip(known.domains, weights, strict=True) if weight]
    share = least([known.share(weights, domain) for domain in part or known.domains])
    told = weights_text(dict(zip(known.adapters, weights, strict=True)))
    return f"{told}:", f"it {sum_of(share)} ({known.resting(rows, [weights])})."
