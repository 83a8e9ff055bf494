"""What a forecast says, looked up: predictions by weighting, and the share of each gain kept."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from superpose.landscape.adding_up import Share, least

__all__ = ["Predictions"]

Row: TypeAlias = Mapping[str, Any]


class Predictions:
    """The rows of `predict --json` by task weights and domain.

    found: what that command prints, or a study's forecast. An adapter's own domain stands at the
    same place in `domains` as the adapter in `adapters`.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.adapters: Sequence[str] = found["adapters"]
        self.domains: Sequence[str] = found["domains"]
        self._rows: dict[tuple[tuple[float, ...], str], Row] = {
            (tuple(row["weights"].values()), row["domain"]): row
            for row in (*found["rows"], *found.get("best", ()))
        }

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

    def at(self, weights: Sequence[float], domain: str) -> Row:
        """Give the prediction for a weighting on a domain. Raises KeyError where there is none."""
        return self._rows[tuple(weights), domain]

    def share(self, weights: Sequence[float], domain: str) -> Share:
        """Give what a domain keeps at these weights of its own adapter's gain over the base.

        The interval is that of the interference, as if the gain were exact: what is not known of
        the gain counts by what is lost of it alone, a tenth where nine tenths are kept.
        """
        row = self.at(weights, domain)
        base = self.at(self.base, domain)["predicted_nll"]
        gain = base - self.at(self.own(domain), domain)["predicted_nll"]
        if gain <= 0:
            return Share(domain, None, None, None)
        lost = [row[key] for key in ("interference", "interference_high", "interference_low")]
        # Of a single calibration row there is no interval: null in a file, infinite in memory.
        kept, low, high = (
            1 - nats / gain if nats is not None and math.isfinite(nats) else None for nats in lost
        )
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
