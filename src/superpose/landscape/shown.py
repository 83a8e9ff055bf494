"""What a notebook shows of a forecast, its rows and its advice; the words are the command line's.

Shades are of a loss against that of the domain's own adapter alone: orange worse, blue better.
"""

from __future__ import annotations

import math

import numpy as np

from superpose.adapter import formula
from superpose.errors import BadInput
from superpose.html import Cell, heat_map, line, shown, table
from superpose.landscape.advice import Advice
from superpose.landscape.forecast import Disturbance, Forecast, Predicted, subsets

__all__ = [
    "advice_html",
    "disturbance_html",
    "forecast_html",
    "perplexity",
    "predicted_html",
]

MOST = 5
"""Adapters whose every subset is shown; of more the base, each adapter and the sum of all."""

MOST_DISTURBED = 24
"""Adapters of the heat map."""

_FULL_SHADE = math.log(2.0)
"""Nats with the strongest shade: twice the own adapter's perplexity, or half of it."""


def forecast_html(found: Forecast) -> str:
    """Give the predicted perplexity of the sums, and which adapter disturbs which domain."""
    try:
        parts = [_predictions(found)]
    except BadInput as problem:  # samples of one's own making may leave the losses undetermined
        return shown(line(problem, "No prediction:"))
    if len(found.names) > MOST:
        count = 2 ** len(found.names)
        parts.append(line(f"The base, each adapter and the sum of all, of {count:,} subsets."))
    return shown(*parts, _disturbances(found) if len(found.names) > 1 else "")


def predicted_html(row: Predicted) -> str:
    """Give one weighting on one domain."""
    against = f"{_percent(row.interference)} ({_percent(row.interference_low)} to "
    cells = [
        formula(row.weights),
        row.domain,
        _predicted(row),
        f"{against}{_percent(row.interference_high)})",
    ]
    columns = ("task weights", "domain", "perplexity", "% against its own adapter")
    return shown(table("Predicted (95 % interval)", columns, [cells], texts=(1,)))


def disturbance_html(found: Disturbance) -> str:
    """Give what a domain loses, and through which kinds of module."""
    loses = f"% of perplexity ({_percent(found.low)} to {_percent(found.high)})"
    rows = [(kind, _percent(nll)) for kind, nll in found.kinds().items()]
    kinds = table("Through kinds of module", ("kind", "% of perplexity"), rows)
    who = f"{found.domain} loses to {found.adapter}:"
    return shown(line(f"{_percent(found.nll)} {loses}", who), kinds if rows else "")


def advice_html(advice: Advice) -> str:
    """Give the verdict with its reason, and the weights that are best for the worst-off domain."""
    weights = [(name, f"{weight:g}") for name, weight in advice.weights.items()]
    caption = "Best weights for the worst-off domain"
    return shown(
        line(f"{advice.reason}.", f"{advice.verdict}."),
        table(caption, ("adapter", "task weight"), weights),
    )


def perplexity(nll: float) -> str:
    """Write the perplexity of so many nats an answer token; a dash for NaN."""
    if math.isnan(nll):
        return "-"
    return f"{math.exp(nll):.3g}" if nll < 700 else "inf"


def _predictions(found: Forecast) -> str:
    count = len(found.names)
    if count <= MOST:
        points = np.array(list(subsets(count)))
    else:
        points = np.vstack([np.zeros(count), np.eye(count), np.ones(count)])
    predicted = found.predict(points)
    rows = []
    for start in range(0, len(predicted), count):
        group = predicted[start : start + count]
        shaded = [Cell(_predicted(row), row.interference / _FULL_SHADE) for row in group]
        rows.append([formula(group[0].weights), *shaded])
    caption = (
        "Predicted perplexity of the answers (95 % interval); orange: worse than the domain's own "
        "adapter alone, blue: better"
    )
    return table(caption, ("task weights", *found.domains), rows)


def _disturbances(found: Forecast) -> str:
    """What each domain (down) loses when an adapter (across) joins its own, as measured."""
    count = min(len(found.names), MOST_DISTURBED)
    return heat_map(
        "Who disturbs whom: % of perplexity that a domain loses when an adapter joins its own",
        "domain",
        found.domains[:count],
        found.names[:count],
        [[_lost(found, i, j) for j in range(count)] for i in range(count)],
        form=_percent,
        shade=lambda nll: nll / _FULL_SHADE,
    )


def _lost(found: Forecast, domain: int, adapter: int) -> float | None:
    """Nats that a domain loses to an adapter; None for its own, NaN where it was not measured."""
    if domain == adapter:
        return None
    sample = found.samples[domain]
    alone = sample.at(found.own(domain))
    both = sample.at(found.own(domain) + found.own(adapter))
    if alone is None or both is None:
        return math.nan
    return float(sample.loss[both] - sample.loss[alone])


def _predicted(row: Predicted) -> str:
    middle, low, high = map(perplexity, (row.predicted_nll, row.low, row.high))
    return f"{middle} ({low} to {high})"


def _percent(nll: float) -> str:
    return f"{100 * math.expm1(min(nll, 700)):+.1f}"
