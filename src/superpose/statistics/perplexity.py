"""Perplexities and their ratios, with intervals over the questions of a test set.

The figures of one row hang together (they answer one question), so rows are drawn, not tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from superpose.errors import BadInput
from superpose.statistics.bootstrap import (
    Floats,
    Interval,
    check_sampling,
    counts,
    percentiles,
)

__all__ = [
    "Perplexity",
    "Ratio",
    "ShareKept",
    "perplexity_interval",
    "ratio_interval",
    "share_interval",
]


@dataclass(frozen=True)
class Perplexity:
    """Conditional perplexity of a test set's answers.

    rows, tokens: how many were scored. nll: mean negative log-likelihood in nats a token.
    perplexity: exp(nll). The intervals are None for a single row.
    """

    rows: int
    tokens: int
    nll: float
    perplexity: float
    nll_interval: Interval | None
    perplexity_interval: Interval | None


@dataclass(frozen=True)
class Ratio:
    """One perplexity against another on the same rows: 100 (PPL / PPL_reference - 1) percent.

    Negative means better than the reference. The interval is None for a single row.
    """

    rows: int
    percent: float
    interval: Interval | None


@dataclass(frozen=True)
class ShareKept:
    """What is left of a gain: 1 for all of it, 0 for none, below 0 where it became a loss.

    share is None where nothing was gained; the interval is None for a single row as well.
    """

    rows: int
    share: float | None
    interval: Interval | None


def perplexity_interval(
    nll_per_row: ArrayLike,
    tokens_per_row: ArrayLike,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Perplexity:
    """Token-weighted perplexity with a percentile bootstrap interval over rows.

    nll_per_row: (rows,) summed negative log-likelihood in nats of each row's answer tokens.
    tokens_per_row: (rows,) how many they are. seed: of the resamples. level: of the interval.

    Raises BadInput for no rows, lengths that differ, a row without tokens, or a figure that is
    not finite.

        >>> result = perplexity_interval([2.0, 4.0], [2, 4], seed=0)
        >>> (result.nll, result.tokens)
        (1.0, 6)
    """
    check_sampling(resamples, level)
    (nll,), tokens = _checked([nll_per_row], tokens_per_row)
    mean = float(nll.sum() / tokens.sum())
    interval = _mean_interval(nll, tokens, seed, resamples, level)
    return Perplexity(
        rows=len(nll),
        tokens=int(tokens.sum()),
        nll=mean,
        perplexity=float(np.exp(mean)),
        nll_interval=interval,
        # The exponential keeps order, so the interval's ends map onto each other.
        perplexity_interval=None if interval is None else _exp(interval),
    )


def ratio_interval(
    nll_per_row: ArrayLike,
    reference_nll_per_row: ArrayLike,
    tokens_per_row: ArrayLike,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Ratio:
    """Change of perplexity (dPPL %) between two models on the same rows, with its interval.

    nll_per_row, reference_nll_per_row: (rows,) summed nats of each row's answer under the one
    and the other, in the same order. tokens_per_row: (rows,) their answer tokens.

    A paired percentile bootstrap: the same rows are drawn for both, so that what makes a
    question hard for both cancels.
    Raises BadInput as `perplexity_interval` does.
    """
    check_sampling(resamples, level)
    (nll, reference), tokens = _checked([nll_per_row, reference_nll_per_row], tokens_per_row)
    difference = nll - reference
    interval = _mean_interval(difference, tokens, seed, resamples, level)
    return Ratio(
        rows=len(nll),
        percent=_percent(float(difference.sum() / tokens.sum())),
        interval=None if interval is None else (_percent(interval[0]), _percent(interval[1])),
    )


def share_interval(
    nll_per_row: ArrayLike,
    base_nll_per_row: ArrayLike,
    own_nll_per_row: ArrayLike,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> ShareKept:
    """Share of a gain that is left, (base - nll) / (base - own), with its interval.

    (rows,) each: summed nats of each row's answer under the model in question, under the base, and
    under the model that gained. seed: of the resamples.

    A paired percentile bootstrap over rows: the gain is drawn anew with the losses, so that the
    interval covers what is not known of it too. Raises BadInput as `perplexity_interval` does.
    """
    check_sampling(resamples, level)
    rows = np.ones(np.shape(nll_per_row))
    (nll, base, own), _ = _checked([nll_per_row, base_nll_per_row, own_nll_per_row], rows)
    left, gain = base - nll, base - own
    if gain.sum() <= 0:
        return ShareKept(len(nll), None, None)
    share = float(left.sum() / gain.sum())
    if len(nll) < 2:
        return ShareKept(len(nll), share, None)
    rng = np.random.default_rng(seed)
    shares = [_shares(drawn @ left, drawn @ gain) for drawn in counts(len(nll), resamples, rng)]
    return ShareKept(len(nll), share, percentiles(np.concatenate(shares), level))


def _checked(columns: Sequence[ArrayLike], tokens: ArrayLike) -> tuple[list[Floats], Floats]:
    """Everything as float64 vectors of one length."""
    weights = np.asarray(tokens, dtype=np.float64)
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    shapes = {array.shape for array in [*arrays, weights]}
    if len(shapes) > 1 or weights.ndim != 1 or not len(weights):
        raise BadInput(f"one figure for each of at least one row is needed, not shapes {shapes}")
    if not all(np.isfinite(array).all() for array in [*arrays, weights]):
        raise BadInput("a row's negative log-likelihood or number of tokens is not finite")
    if not (weights > 0).all():
        raise BadInput(f"row {int(np.argmin(weights))} has no answer tokens to score")
    return arrays, weights


def _mean_interval(
    sums: Floats, tokens: Floats, seed: int, resamples: int, level: float
) -> Interval | None:
    """Interval of sum(sums) / sum(tokens) over resampled rows."""
    if len(sums) < 2:
        return None
    rng = np.random.default_rng(seed)
    means = [(drawn @ sums) / (drawn @ tokens) for drawn in counts(len(sums), resamples, rng)]
    return percentiles(np.concatenate(means), level)


def _shares(left: Floats, gain: Floats) -> Floats:
    """Give the share of each resample; NaN, which no percentile counts, where it gains nothing."""
    shares: Floats = np.divide(left, gain, out=np.full(len(gain), np.nan), where=gain > 0)
    return shares


def _exp(interval: Interval) -> Interval:
    return float(np.exp(interval[0])), float(np.exp(interval[1]))


def _percent(nats: float) -> float:
    """A difference of mean nats as a change of perplexity in percent."""
    return 100 * float(np.expm1(nats))
