"""Two ways on the same questions: how far apart they are, and how well that is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superpose.errors import BadInput

__all__ = ["TOLD_APART", "PairedDifference", "PairedRows", "paired_difference"]

Floats: TypeAlias = NDArray[np.float64]

TOLD_APART = 2.0
"""Standard errors that a difference has to be beyond."""


@dataclass(frozen=True)
class PairedRows:
    """One domain's questions under two ways.

    nll, reference: (rows,), or (seeds, rows) of several seeds, nats an answer. tokens: (rows,).
    """

    nll: ArrayLike
    reference: ArrayLike
    tokens: ArrayLike


@dataclass(frozen=True)
class PairedDifference:
    """A difference in nats an answer token, below zero where the first way is better.

    error: its standard error over questions, and over seeds where there are several; infinite where
    a domain has a single question.
    """

    difference: float
    error: float

    @property
    def tie(self) -> bool:
        """Whether the two cannot be told apart: nearer than two standard errors."""
        return abs(self.difference) <= TOLD_APART * self.error


def paired_difference(domains: Sequence[PairedRows]) -> PairedDifference:
    """Give the mean over the domains of what an answer token costs more than in the reference.

    A domain's figure is sum(nll - reference) / sum(tokens). Questions of a domain are draws, the
    domains themselves are not. Of several seeds the mean counts, and to the variance over questions
    that over seeds is added: of two crossed factors that errs on the side of too much (Owen, The
    pigeonhole bootstrap, 2007). Raises BadInput for no domain, or shapes that differ.
    """
    if not domains:
        raise BadInput("there is no domain to compare on")
    parts = [_of_domain(rows) for rows in domains]
    count = len(parts)
    by_seed = np.mean([part[0] for part in parts], axis=0)
    error = sum(part[1] for part in parts) / count**2
    if len(by_seed) > 1:
        error += float(by_seed.var(ddof=1)) / len(by_seed)
    return PairedDifference(float(by_seed.mean()), math.sqrt(error))


def _of_domain(rows: PairedRows) -> tuple[Floats, float]:
    """Give the difference of each seed (seeds,), and the variance over questions of their mean."""
    nll, reference = (np.atleast_2d(np.asarray(x, np.float64)) for x in (rows.nll, rows.reference))
    tokens = np.asarray(rows.tokens, np.float64)
    if nll.shape != reference.shape or nll.shape[1:] != tokens.shape or not tokens.size:
        raise BadInput("a paired difference needs the same questions on both sides")
    excess = nll - reference
    by_seed = excess.sum(axis=1) / tokens.sum()
    count = tokens.size
    # What a question adds to sum(excess) - ratio sum(tokens): a ratio's variance, linearised.
    each = excess.mean(axis=0) - by_seed.mean() * tokens
    spread = float(each.var(ddof=1)) if count > 1 else math.inf
    return by_seed, count * spread / float(tokens.sum()) ** 2
