"""The best task weights for one adapter that serves several domains, on their polynomials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.errors import missing_extra
from superpose.landscape.polynomial import Polynomial

__all__ = ["BOUNDS", "Objective", "best_weights", "objective_of", "starts"]

Array = NDArray[np.float64]
Objective: TypeAlias = Literal["mean", "worst"]

BOUNDS = (0.0, 1.5)
"""Default least and largest task weight: beyond, the losses were measured nowhere."""


def objective_of(regrets: Array, objective: Objective) -> float:
    """Give what is minimised: the mean of the domains' regrets, or the largest.

    regrets: (D,), nats an answer token that each domain loses against its own adapter.
    """
    return float(regrets.mean() if objective == "mean" else regrets.max())


def starts(adapters: int) -> Array:
    """Give the weights that a tuned sum must not be worse than: (2 + K, K).

    The naive sum, the average, and every adapter alone.
    """
    ones = np.ones(adapters)
    return np.array([ones, ones / adapters, *np.eye(adapters)])


def best_weights(
    losses: Sequence[Polynomial],
    *,
    objective: Objective = "mean",
    bounds: tuple[float, float] = BOUNDS,
    shift: Array | None = None,
    units: Array | None = None,
) -> Array:
    """Give the task weights (K,) that minimise the objective on the domains' polynomials.

    losses: one for each domain; domain i is the i-th adapter's. bounds: of every weight. shift:
    (D, K), added to each domain's slope: what a measured gradient says otherwise. units: (D,), nats
    that each domain's regret is counted in, one where not given; a domain of infinite units does
    not count.

    Descent in a box (mean), or the smallest common bound of D losses (worst), from each of
    `starts`; the best end is taken, for curvatures may have a negative direction.

    Raises MissingExtra where scipy is not installed: it finds both.
    """
    count = losses[0].adapters
    moved = np.zeros((len(losses), count)) if shift is None else shift
    own = [loss.value(np.eye(count)[i]) + moved[i][i] for i, loss in enumerate(losses)]
    each = np.ones(len(losses)) if units is None else 1.0 / units

    def regrets(weights: Array) -> Array:
        values = [loss.value(weights) for loss in losses]
        found: Array = (np.array(values) + moved @ weights - np.array(own)) * each
        return found

    def slopes(weights: Array) -> Array:
        found = np.array([loss.gradient(weights) for loss in losses]) + moved
        return found * each[:, None]

    solve = _mean if objective == "mean" else _worst
    ends = [
        solve(regrets, slopes, np.clip(start, *bounds), bounds, len(losses))
        for start in starts(count)
    ]
    return min(ends, key=lambda weights: objective_of(regrets(weights), objective))


Regrets: TypeAlias = Callable[[Array], Array]


def _scipy() -> Any:
    """scipy.optimize, which finds the least of a function in a box."""
    try:
        import scipy.optimize
    except ModuleNotFoundError:
        raise missing_extra("scipy", "finding the best task weights") from None
    return scipy.optimize


def _mean(
    regrets: Regrets, slopes: Regrets, start: Array, bounds: tuple[float, float], _: int
) -> Array:
    found = _scipy().minimize(
        lambda weights: float(regrets(weights).mean()),
        start,
        jac=lambda weights: slopes(weights).mean(axis=0),
        method="L-BFGS-B",
        bounds=[bounds] * len(start),
    )
    weights: Array = np.clip(found.x, *bounds)
    return weights


def _worst(
    regrets: Regrets, slopes: Regrets, start: Array, bounds: tuple[float, float], domains: int
) -> Array:
    """Minimise t with regret_i(lambda) <= t for every domain."""
    first = np.append(start, regrets(start).max())
    found = _scipy().minimize(
        lambda x: float(x[-1]),
        first,
        jac=lambda x: np.append(np.zeros(len(start)), 1.0),
        method="SLSQP",
        bounds=[*([bounds] * len(start)), (None, None)],
        constraints={
            "type": "ineq",
            "fun": lambda x: x[-1] - regrets(x[:-1]),
            "jac": lambda x: np.hstack([-slopes(x[:-1]), np.ones((domains, 1))]),
        },
        options={"maxiter": 200, "ftol": 1e-10},
    )
    weights: Array = np.clip(found.x[:-1], *bounds)
    return weights
