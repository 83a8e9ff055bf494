"""What every sum of K adapters will do to every domain, from one calibration sample a domain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.landscape.basis import OWN_SQUARE
from superpose.landscape.best_weights import BOUNDS, Objective, best_weights
from superpose.landscape.polynomial import Polynomial
from superpose.landscape.predicted import (
    DISTURBANCE_COLUMNS,
    LOST,
    Disturbance,
    Nats,
    Predicted,
    checked_weights,
    predicted_table,
)
from superpose.landscape.sample import Sample
from superpose.shown import Heat, Line, Part, Shown, Table
from superpose.statistics import student_quantile

__all__ = ["Disturbance", "Forecast", "Predicted", "subsets"]

Array = NDArray[np.float64]

MOST = 16
"""Adapters whose every subset is listed: 65,536 of them."""

MOST_SHOWN, MOST_DISTURBED = 5, 24
"""Adapters whose every subset is shown (of more the base, each adapter and the sum of all), and
those of the heat map."""


@dataclass(frozen=True, eq=False)
class Forecast(Shown):
    """The lambda space of K adapters, each with its domain.

    names: of the adapters, K. domains: of their data, K, in one order. samples: what was measured.

    Raises BadInput when these do not belong together.
    """

    names: tuple[str, ...]
    domains: tuple[str, ...]
    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.names), len(self.domains), len(self.samples)}
        if len(sizes) > 1 or any(s.points.shape[1] != len(self.names) for s in self.samples):
            raise BadInput(
                f"{len(self.names)} adapters and {len(self.domains)} domains",
                hint="Each adapter has its own domain: give as many data files as adapters, in "
                "the adapters' order.",
            )

    @cached_property
    def losses(self) -> tuple[Polynomial, ...]:
        """The fitted polynomial of each domain."""
        return tuple(Polynomial.fit(sample) for sample in self.samples)

    def own(self, domain: int) -> Array:
        """Give the task weights of a domain's own adapter alone: (K,)."""
        alone: Array = np.eye(len(self.names))[domain]
        return alone

    def predict(self, weights: Sequence[Sequence[float]] | Array) -> list[Predicted]:
        """Predict every domain at (S, K) task weights.

        Raises BadInput for another number of weights than of adapters, or one that is not finite.
        """
        points = checked_weights(weights, len(self.names))
        given = [dict(zip(self.names, point, strict=True)) for point in points.tolist()]
        columns = [self._figures(i, points) for i in range(len(self.domains))]
        return [
            Predicted(given[s], domain, *columns[i][s])
            for s in range(len(points))
            for i, domain in enumerate(self.domains)
        ]

    def _figures(self, domain: int, points: Array) -> list[list[float]]:
        """Give (S, 6): predicted loss and interference of one domain, each with its interval."""
        loss = self.losses[domain]
        wide = _quantile(len(loss.tokens))
        columns: list[Array] = []
        for found in (loss.predict(points), loss.predict(points, against=self.own(domain))):
            half = wide * found.error
            columns += [found.nll, found.nll - half, found.nll + half]
        figures: list[list[float]] = np.stack(columns, axis=1).tolist()
        return figures

    def every_subset(self) -> list[Predicted]:
        """Predict the base, every adapter and every sum of several, on every domain."""
        if len(self.names) > MOST:
            raise BadInput(f"{len(self.names)} adapters have too many subsets to list them all")
        return self.predict(np.array(list(subsets(len(self.names)))))

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
        found = [self._disturbance(i, j) for i, j in pairs]
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
        slopes = sample.module_slope[[alone, both], :, adapter]
        parts = slopes.mean(axis=0)
        total = float(sample.loss[both] - sample.loss[alone])
        sizes = np.abs(parts)
        if sizes.sum() > 0:
            parts = parts + (total - parts.sum()) * sizes / sizes.sum()
        spread = sample.nll[both] - sample.nll[alone] - total * sample.tokens
        rows, tokens = len(sample.tokens), sample.tokens.sum()
        error = math.sqrt(rows / max(1, rows - 1) * float(np.sum(spread**2))) / float(tokens)
        half = _quantile(rows) * error
        return Disturbance(
            self.domains[domain],
            self.names[adapter],
            total,
            total - half,
            total + half,
            dict(zip(sample.modules, parts.tolist(), strict=True)),
        )

    def to_json(self) -> dict[str, Any]:
        """Give every subset's predictions and all disturbances, with the names they speak of."""
        return {
            "adapters": list(self.names),
            "domains": list(self.domains),
            "rows": [row.to_json() for row in self.every_subset()],
            "disturbances": [disturbance.to_json() for disturbance in self.disturbances()],
        }

    def to_model(self) -> dict[str, Any]:
        """Give the small model itself, from which a page can predict any weighting.

        For each domain the loss is f . coefficients, in nats an answer token: f are the products
        of the task weights at the positions in `terms`; where `triples` is not empty, the sum of
        all products of three different ones of those; and, of the weight of `own`, `own_axis`,
        in which a square has the share `own_square`.
        A 95 % interval reaches
        quantile * sqrt(f' C f + residual^2 (1 + e) + b^2 + a^2) to both sides: C is the symmetric
        matrix whose rows from the diagonal on are `covariance`, end to end; e the sum over pairs of
        `others` of their squared weights' product; b = bend * 4 x (1 - x) and a = away * (1 - x)^2
        * the sum of `others`' absolute weights, x the weight of `own`.
        """
        return {
            "adapters": list(self.names),
            "domains": [
                {
                    "name": name,
                    "terms": [list(term) for term in loss.basis.terms],
                    "triples": list(loss.basis.triples),
                    "coefficients": loss.coefficients.tolist(),
                    "covariance": loss.covariance[np.triu_indices(len(loss.basis))].tolist(),
                    "residual": loss.residual,
                    "others": list(loss.others),
                    "own": loss.basis.own,
                    "own_square": OWN_SQUARE,
                    "bend": loss.bend,
                    "away": loss.away,
                    "quantile": _quantile(len(loss.tokens)),
                    "points": loss.points.tolist(),
                }
                for name, loss in zip(self.domains, self.losses, strict=True)
            ],
        }

    def shown(self, measured: Nats | None = None) -> tuple[Part, ...]:
        """Give the predicted perplexity of the sums, and which adapter disturbs which domain.

        measured: by task weights and domain, nats an answer token on test rows.
        """
        count = len(self.names)
        every = count <= MOST_SHOWN
        points = list(subsets(count)) if every else [*_singles(count), (1.0,) * count]
        try:
            predicted = self.predict(points)
        except BadInput as problem:  # samples of one's own making may leave losses undetermined
            return (Line(str(problem), "No prediction:"),)
        table = predicted_table(predicted, self.domains, measured)
        if not every:
            remark = f"The base, each adapter and the sum of all, of {2**count:,} subsets."
            table = replace(table, remark=remark)
        return table, *([self._disturbed()] if count > 1 else [])

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
        """Nats that a domain loses to an adapter; None for its own, NaN where not measured."""
        if domain == adapter:
            return None
        sample = self.samples[domain]
        alone = sample.at(self.own(domain))
        both = sample.at(self.own(domain) + self.own(adapter))
        if alone is None or both is None:
            return math.nan
        return float(sample.loss[both] - sample.loss[alone])


def subsets(adapters: int) -> Iterator[tuple[float, ...]]:
    """Give the task weights, 0 or 1, of the base, each adapter and each sum, smallest first."""
    for size in range(adapters + 1):
        for chosen in itertools.combinations(range(adapters), size):
            yield tuple(float(k in chosen) for k in range(adapters))


def _singles(adapters: int) -> Iterator[tuple[float, ...]]:
    """Give the task weights of the base and of each adapter alone."""
    return itertools.takewhile(lambda weights: sum(weights) < 2, subsets(adapters))


def _quantile(rows: int) -> float:
    """Give the 97.5 % point of Student's t with as many degrees of freedom as rows but one."""
    return math.inf if rows < 2 else student_quantile(0.975, rows - 1)
