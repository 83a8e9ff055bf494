"""All predictors that need the weights alone."""

from __future__ import annotations

from superpose.interference.predictors.a_cosine import a_cosine
from superpose.interference.predictors.b_cosine import b_cosine
from superpose.interference.predictors.constant import constant
from superpose.interference.predictors.cosine import cosine
from superpose.interference.predictors.count import count
from superpose.interference.predictors.input_overlap import input_overlap
from superpose.interference.predictors.isotropic import isotropic
from superpose.interference.predictors.norm import norm
from superpose.interference.predictors.norm_ratio import norm_ratio
from superpose.interference.predictors.output_overlap import output_overlap
from superpose.interference.predictors.predictor import Case, Predictor
from superpose.interference.predictors.rms_cosine import rms_cosine

__all__ = ["DATA_FREE"]

DATA_FREE: tuple[Predictor[Case], ...] = (
    Predictor("constant", constant),
    Predictor("count", count),
    Predictor("norm", norm),
    Predictor("norm ratio", norm_ratio),
    Predictor("rms cosine", rms_cosine),
    Predictor("cosine", cosine),
    Predictor("cosine of A", a_cosine),
    Predictor("cosine of B", b_cosine),
    Predictor("input overlap", input_overlap),
    Predictor("output overlap", output_overlap),
    Predictor("isotropic quadratic", isotropic),
)
"""The controls first: what knows nothing, how many there are, how large they are."""
