"""Cosines of factors as matrices, which the two predictors of factors have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from superpose.interference.predictors.predictor import Case
from superpose.lowrank import Term, stack

__all__ = ["rms_factor_cosine"]


def rms_factor_cosine(case: Case, factor: Callable[[Term], Any]) -> float:
    """Give the RMS of a factor's cosine over target modules and others.

    factor: picks A or B of a term. A sum has no factors of its own, so each of the others is taken
    alone; a pair of factors of different ranks, or a zero one, has no cosine. NaN where none has.
    """
    found = [value for value in _cosines(case, factor) if not math.isnan(value)]
    return (
        math.sqrt(math.fsum(value * value for value in found) / len(found)) if found else math.nan
    )


def _cosines(case: Case, factor: Callable[[Term], Any]) -> Iterator[float]:
    for module, delta in case.own.items():
        x = np.asarray(factor(stack(delta.terms)))
        for other in case.others:
            if module in other:
                y = np.asarray(factor(stack(other[module].terms)))
                yield _cosine(x, y) if x.shape == y.shape else math.nan


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(np.vdot(x, y)) / lengths if lengths > 0 else math.nan
