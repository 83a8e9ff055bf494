"""What every sum of K adapters will do to every domain, from one calibration sample a domain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import BadInput
from superpose.landscape.basis import OWN_SQUARE
from superpose.landscape.best_weights import BOUNDS, Objective, best_weights
from superpose.landscape.polynomial import Polynomial
from superpose.landscape.sample import Sample
from superpose.statistics import student_quantile

__all__ = ["Disturbance", "Forecast", "Predicted", "subsets"]

Array = NDArray[np.float64]

MOST = 16
"""Adapters whose every subset is listed: 65,536 of them."""


@dataclass(frozen=True)
class Predicted:
    """One weighting on one domain: nats an answer token, with a 95 % interval.

    interference: nats more than the domain's own adapter alone, with its own (paired) interval.
    """

    weights: Mapping[str, float]
    domain: str
    predicted_nll: float
    low: float
    high: float
    interference: float
    interference_low: float
    interference_high: float

    @property
    def perplexity(self) -> float:
        """The perplexity: exp(predicted_nll)."""
        return math.exp(self.predicted_nll)

    def to_json(self) -> dict[str, Any]:
        """Give one row of `predict --json`."""
        return {**vars(self), "weights": dict(self.weights), "perplexity": self.perplexity}

    def _repr_html_(self) -> str:
        from superpose.landscape.shown import predicted_html

        return predicted_html(self)


@dataclass(frozen=True)
class Disturbance:
    """What one adapter's presence costs another's domain, and through which modules.

    nll: nats an answer token that `domain` loses when `adapter` joins its own, measured on the
    calibration rows, with a 95 % interval over them. modules: contributions, which sum to nll.
    """

    domain: str
    adapter: str
    nll: float
    low: float
    high: float
    modules: Mapping[str, float]

    def kinds(self) -> dict[str, float]:
        """Give the contributions by kind of module (q_proj, ...), largest first."""
        sums: dict[str, float] = {}
        for module, value in self.modules.items():
            kind = module.rpartition(".")[2]
            sums[kind] = sums.get(kind, 0.0) + value
        return dict(sorted(sums.items(), key=lambda item: -abs(item[1])))

    def to_json(self) -> dict[str, Any]:
        """Give the figures, with contributions by kind and by module."""
        return {**vars(self), "modules": dict(self.modules), "kinds": self.kinds()}

    def _repr_html_(self) -> str:
        from superpose.landscape.shown import disturbance_html

        return disturbance_html(self)


@dataclass(frozen=True, eq=False)
class Forecast:
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
        points = self._checked(weights)
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

    def _repr_html_(self) -> str:
        from superpose.landscape.shown import forecast_html

        return forecast_html(self)

    def _checked(self, weights: Sequence[Sequence[float]] | Array) -> Array:
        points = np.asarray(weights, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != len(self.names):
            raise BadInput(
                f"{len(self.names)} adapters take as many task weights, not {points.shape}"
            )
        if not np.isfinite(points).all():
            raise BadInput("a task weight is not finite")
        return points


def subsets(adapters: int) -> Iterator[tuple[float, ...]]:
    """Give the task weights, 0 or 1, of the base, each adapter and each sum, smallest first."""
    for size in range(adapters + 1):
        for chosen in itertools.combinations(range(adapters), size):
            yield tuple(float(k in chosen) for k in range(adapters))


def _quantile(rows: int) -> float:
    """Give the 97.5 % point of Student's t with as many degrees of freedom as rows but one."""
    return math.inf if rows < 2 else student_quantile(0.975, rows - 1)
