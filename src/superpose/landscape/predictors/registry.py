"""All predictors of interference: those that need the weights alone, and those that need data."""

from __future__ import annotations

from superpose.interference.predictors import DATA_FREE, Predictor
from superpose.landscape.predictors.case import DataCase
from superpose.landscape.predictors.gradient import gradient
from superpose.landscape.predictors.kronecker import kronecker
from superpose.landscape.predictors.kronecker_cosine import kronecker_cosine
from superpose.landscape.predictors.lambda_space import lambda_space
from superpose.landscape.predictors.map_fit import map_fit
from superpose.landscape.predictors.osrm import osrm
from superpose.landscape.predictors.pairs import pairs

__all__ = ["DATA_AWARE", "PREDICTORS"]


def _data_aware() -> tuple[Predictor[DataCase], ...]:
    inner, slope, slopes, values, scattered = (
        frozenset([part]) for part in ("inner", "slope", "slopes", "values", "scattered")
    )
    return (
        Predictor("OSRM", osrm, inner),
        Predictor("Kronecker cosine", kronecker_cosine, inner),
        Predictor("gradient", gradient, slope, in_nats=True),
        Predictor("Kronecker quadratic", kronecker, inner | slope, in_nats=True),
        Predictor("MAP", map_fit, scattered, in_nats=True),
        Predictor("pairs evaluated", pairs, slope | slopes, in_nats=True),
        Predictor("lambda space", lambda_space, slope | slopes | values, in_nats=True),
    )


DATA_AWARE = _data_aware()
"""From the cheapest to the dearest, more or less."""

PREDICTORS: tuple[Predictor[DataCase], ...] = (*DATA_FREE, *DATA_AWARE)
"""Everything that competes."""
