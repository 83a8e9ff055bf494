"""What sums of K adapters do to every domain: measured on calibration rows, and foretold from them.

What was measured is told as it was measured. Where slopes were measured too, a polynomial through
all that was measured foretells every other weighting.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.landscape.basis import OWN_SQUARE
from superpose.landscape.best_weights import BOUNDS, Objective, best_weights
from superpose.landscape.polynomial import CROSS, FULL, Polynomial
from superpose.landscape.predicted import (
    DISTURBANCE_COLUMNS,
    FORETOLD,
    LOST,
    MEASURED,
    Disturbance,
    Nats,
    Predicted,
    checked_weights,
    predicted_table,
)
from superpose.landscape.sample import Sample, positions
from superpose.landscape.subsets import order_of, singles, subsets
from superpose.shown import Framed, Heat, Line, Part, Shown, Table
from superpose.shown.words import counted
from superpose.statistics import student_quantile

__all__ = ["Disturbance", "Forecast", "Predicted", "quantile_of"]

Array = NDArray[np.float64]

MOST = 16
"""Adapters whose every subset is listed: 65,536 of them."""

MOST_SHOWN, MOST_DISTURBED = 5, 24
"""Adapters whose every subset is shown (of more the base, each adapter and the sum of all), and
those of the heat map."""


@dataclass(frozen=True, eq=False)
class Forecast(Framed, Shown):
    """The lambda space of K adapters, each with its domain.

    names: of the adapters, K. domains: of their data, K, in one order. samples: what was measured.

    Raises BadInput when these do not belong together.
    """

    TABLE: ClassVar[str] = "predictions"

    names: tuple[str, ...]
    domains: tuple[str, ...]
    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.names), len(self.domains), len(self.samples)}
        if len(sizes) > 1 or any(s.points.shape[1] != len(self.names) for s in self.samples):
            raise BadInput(
                f"{counted(len(self.names), 'adapter')} and {counted(len(self.domains), 'domain')}",
                hint="Each adapter has its own domain: give as many data files as adapters, in "
                "the adapters' order.",
            )

    @cached_property
    def losses(self) -> tuple[Polynomial, ...]:
        """The fitted polynomial of each domain."""
        return tuple(Polynomial.fit(sample) for sample in self.samples)

    @property
    def foretells(self) -> bool:
        """Whether slopes were measured, from which weights that were not can be foretold."""
        return all(sample.sloped for sample in self.samples)

    def own(self, domain: int) -> Array:
        """Give the task weights of a domain's own adapter alone: (K,)."""
        alone: Array = np.eye(len(self.names))[domain]
        return alone

    def predict(self, weights: Sequence[Sequence[float]] | Array) -> list[Predicted]:
        """Tell every domain's loss at (S, K) task weights, measured there or else foretold.

        Without slopes, a domain that was not measured at some weights has no row of them.

        Raises BadInput for another number of weights than of adapters, or one that is not finite.
        """
        points = checked_weights(weights, len(self.names))
        given = [dict(zip(self.names, point, strict=True)) for point in points.tolist()]
        columns = [self._figures(i, points) for i in range(len(self.domains))]
        return [
            Predicted(given[s], domain, *figures)
            for s in range(len(points))
            for i, domain in enumerate(self.domains)
            if (figures := columns[i][s])
        ]

    def _figures(self, domain: int, points: Array) -> list[list[Any]]:
        """Give, S times, loss and interference of one domain, each with its interval, and how.

        Nothing where it is not known.
        """
        sample, wide = self.samples[domain], quantile_of(len(self.samples[domain].tokens))
        places, own = positions(sample.points, points), sample.at(self.own(domain))
        figures: list[list[Any]] = [[] for _ in places]
        if self.foretells:
            pair = self.losses[domain].predict_with(points, self.own(domain))
            with np.errstate(invalid="ignore"):  # one row: infinite width, and no figure of 0
                columns = [(f.nll, f.nll - wide * f.error, f.nll + wide * f.error) for f in pair]
            told = np.concatenate(columns).T.tolist()
            figures = [
                [*row, FORETOLD if at is None else MEASURED]
                for row, at in zip(told, places, strict=True)
            ]
        for s, at in enumerate(places):
            if at is not None and own is not None:
                ends = [
                    end
                    for nll, error in (sample.more(at), sample.more(at, own))
                    for end in (nll, nll - wide * error, nll + wide * error)
                ]
                figures[s] = [*ends, MEASURED]
        return figures

    def every_subset(self) -> list[Predicted]:
        """Predict the base, every adapter and every sum of several, on every domain."""
        if len(self.names) > MOST:
            raise BadInput(f"{len(self.names)} adapters have too many subsets to list them all")
        return self.predict(np.array(list(subsets(len(self.names)))))

    def known(self) -> list[Predicted]:
        """Give every subset where it can be foretold, otherwise all that was measured.

        In the subsets' order, and other weightings behind them.
        """
        if self.foretells:
            return self.every_subset()
        points = np.unique(np.concatenate([sample.points for sample in self.samples]), axis=0)
        order = sorted(points.tolist(), key=order_of)
        return self.predict(order)

    def best(self, objective: Objective = "mean", bounds: tuple[float, float] = BOUNDS) -> Array:
        """Give the best task weights (K,) on the polynomials. Raises as `best_weights`."""
        return best_weights(self.losses, objective=objective, bounds=bounds)

    def best_of(self, names: Sequence[str], objective: Objective = "mean") -> dict[str, float]:
        """Give the best task weights of some adapters for their own domains.

        names: in the order of `self.names`. On the polynomials where the other weights are 0.
        Raises as `best_weights`.
        """
        chosen = [self.names.index(name) for name in names]
        losses = [self.losses[i].among(chosen) for i in chosen]
        return dict(zip(names, best_weights(losses, objective=objective).tolist(), strict=True))

    def disturbances(self) -> list[Disturbance]:
        """Give what each adapter's presence costs each other domain, largest first."""
        pairs = itertools.permutations(range(len(self.names)), 2)
        found = [self._disturbance(i, j) for i, j in pairs if self._lost(i, j) is not None]
        return sorted(found, key=lambda disturbance: -disturbance.nll)

    def _disturbance(self, domain: int, adapter: int) -> Disturbance:
        """Integrate the slope along the way from the own adapter to both, by the trapezoid rule.

        What the rule leaves of the measured total, beyond second order, is shared among the modules
        in proportion to the size of their parts, so that the parts sum to the total.
        """
        sample = self.samples[domain]
        alone = sample.at(self.own(domain))
        both = sample.at(self.own(domain) + self.own(adapter))
        assert alone is not None
        assert both is not None
        total, error = sample.more(both, alone)
        slopes = sample.module_slope[[alone, both], :, adapter]
        parts = slopes.mean(axis=0)
        sizes = np.abs(parts)
        if sizes.sum() > 0:
            parts = parts + (total - parts.sum()) * sizes / sizes.sum()
        named = (
            {} if np.isnan(parts).any() else dict(zip(sample.modules, parts.tolist(), strict=True))
        )
        half = quantile_of(len(sample.tokens)) * error
        return Disturbance(
            self.domains[domain],
            self.names[adapter],
            total,
            total - half,
            total + half,
            named,
        )

    def to_json(self) -> dict[str, Any]:
        """Give what is known of the sums, and all disturbances, with the names they speak of."""
        return {
            "adapters": list(self.names),
            "domains": list(self.domains),
            "predictions": [row.to_json() for row in self.known()],
            "disturbances": [disturbance.to_json() for disturbance in self.disturbances()],
        }

    def to_model(self) -> dict[str, Any]:
        """Give the small model itself, from which a page can predict any weighting.

        For each domain f are the products of the task weights at the positions in `terms`; where
        `triples` is not empty, the sum of all products of three different ones of those; and, of
        the weight of `own`, `own_axis`, in which a square has the share `own_square`. r is the part
        of f . coefficients from the functions in `beside`, and the loss is f . coefficients - r +
        s(r), in nats an answer token: s(r) = log(1 + k r) / k where r > 0 and `saturation`, k, is
        not 0, otherwise r. In what follows f of `beside` are times s'(r).
        At one of `points`, which were measured, a 95 % interval reaches quantile * sqrt(f' C f) to
        both sides, elsewhere
        quantile * sqrt(f' C f + residual^2 (1 + e) + b^2 + a^2 + (cross s)^2): C is the symmetric
        matrix whose rows from the diagonal on are `covariance`, end to end; e the sum over pairs of
        `others` of their squared weights' product; b = bend * 4 x (1 - x) and a = away * (1 - x)^2
        * min(1, the sum of `others`' absolute weights / full), x the weight of `own`; s the part of
        the loss from the functions in `crossing`.
        """
        return {
            "adapters": list(self.names),
            "domains": [
                {
                    "name": name,
                    "terms": [list(term) for term in loss.basis.terms],
                    "triples": list(loss.basis.triples),
                    "coefficients": loss.coefficients.tolist(),
                    "saturation": loss.saturation,
                    "beside": np.flatnonzero(loss.basis.beside).tolist(),
                    "covariance": loss.covariance[np.triu_indices(len(loss.basis))].tolist(),
                    "residual": loss.residual,
                    "others": list(loss.others),
                    "own": loss.basis.own,
                    "own_square": OWN_SQUARE,
                    "bend": loss.bend,
                    "away": loss.away,
                    "full": FULL,
                    "cross": CROSS,
                    "crossing": loss.basis.crossing(loss.others),
                    "quantile": quantile_of(len(loss.tokens)),
                    "points": loss.points.tolist(),
                }
                for name, loss in zip(self.domains, self.losses, strict=True)
            ],
        }

    def shown(self, measured: Nats | None = None) -> tuple[Part, ...]:
        """Give the perplexity of the sums, and which adapter disturbs which domain.

        measured: by task weights and domain, nats an answer token on test rows.
        """
        count = len(self.names)
        every = count <= MOST_SHOWN or not self.foretells
        try:
            rows = self.known() if every else self.predict([*singles(count), (1.0,) * count])
        except BadInput as problem:  # samples of one's own making may leave losses undetermined
            return (Line(str(problem), "No prediction:"),)
        table = predicted_table(rows, self.domains, measured)
        if not every:
            remark = f"The base, each adapter and the sum of all, of {2**count:,} subsets."
            table = replace(table, remark=remark)
        return table, *([self._disturbed()] if self.disturbances() else [])

    def _disturbed(self) -> Heat:
        """What each domain (down) loses when an adapter (across) joins its own, as measured."""
        title = (
            "Who disturbs whom: % of perplexity that a domain loses when an adapter joins its own"
        )
        count = min(len(self.names), MOST_DISTURBED)
        lost = (tuple(self._lost(i, j) for j in range(count)) for i in range(count))
        names, domains = self.names[:count], self.domains[:count]
        listed = Table.of(title, DISTURBANCE_COLUMNS, self.disturbances())
        return Heat(title, "domain", domains, names, tuple(lost), LOST, listed)

    def _lost(self, domain: int, adapter: int) -> float | None:
        """Nats that a domain loses to an adapter; None for its own, and where not measured."""
        if domain == adapter:
            return None
        sample = self.samples[domain]
        alone = sample.at(self.own(domain))
        both = sample.at(self.own(domain) + self.own(adapter))
        return None if alone is None or both is None else sample.more(both, alone)[0]


def quantile_of(rows: int) -> float:
    """Give the 97.5 % point of Student's t with as many degrees of freedom as rows but one."""
    return math.inf if rows < 2 else student_quantile(0.975, rows - 1)
