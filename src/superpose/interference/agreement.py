"""How the modules of a pair agree: in sign, in size, and whether a few carry what is common."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from superpose.interference.borders import FEW, STANDS_OUT, STANDS_OUT_CHANCE, STANDS_OUT_LEAST

_EXACT = 1000
"""Modules up to which the sign test is counted out; beyond, a Gaussian is good to a hundredth."""


@dataclass(frozen=True)
class Agreement:
    """Of the shared target modules in which neither delta is zero.

    positive_modules, negative_modules, orthogonal_modules: by the sign of their cosine, the last
    with a cosine of exactly 0. mean_cosine: of the modules, each counting alike. z: that mean in
    standard deviations of what unrelated deltas give, sqrt(sum of squared floors) / modules.
    sign_test: probability that of as many modules as many or more are of one sign by chance alone,
    two-sided, without those of exactly 0; it needs no floor. spread: mean of the squared cosines in
    squared floors, 1 for unrelated deltas. standing_out: the few modules far beyond the others
    (see `STANDS_OUT`), the largest first. carried: what these hold of the inner product: the sum of
    their sizes, beside the size of the sum over the others. rest_cosine: the pair's cosine without
    them. NaN where there is no module.
    """

    positive_modules: int
    negative_modules: int
    orthogonal_modules: int
    mean_cosine: float
    z: float
    sign_test: float
    spread: float
    standing_out: tuple[str, ...]
    carried: float
    rest_cosine: float


def agreement(
    names: np.ndarray,
    cosines: np.ndarray,
    floors: np.ndarray,
    inner: np.ndarray,
    scale: float,
) -> Agreement:
    """Count and weigh M modules.

    names, cosines (NaN where there is none), floors, inner (M). scale: product of the two adapters'
    norms, in which `rest_cosine` is counted.
    """
    known = np.isfinite(cosines)
    found, least = cosines[known], floors[known]
    out = np.zeros(cosines.shape, dtype=bool)
    out[known] = _standing_out(np.abs(found), least)
    carried, rest = float(np.abs(inner[out]).sum()), float(inner[~out].sum())
    both = carried + abs(rest)
    positive, negative = int((found > 0.0).sum()), int((found < 0.0).sum())
    first = sorted(map(int, np.flatnonzero(out)), key=lambda m: (-abs(cosines[m]), names[m]))
    return Agreement(
        positive_modules=positive,
        negative_modules=negative,
        orthogonal_modules=int((found == 0.0).sum()),
        mean_cosine=float(found.mean()) if found.size else math.nan,
        z=float(found.sum()) / math.hypot(*least) if found.size else math.nan,
        sign_test=sign_test(positive, negative),
        spread=float(np.mean((found / least) ** 2)) if found.size else math.nan,
        standing_out=tuple(str(names[m]) for m in first),
        carried=carried / both if both > 0.0 else math.nan,
        rest_cosine=max(-1.0, min(1.0, rest / scale)) if scale > 0.0 else math.nan,
    )


def sign_test(positive: int, negative: int) -> float:
    """Give the probability of so uneven signs, or less even ones, where both are as likely.

    Two-sided and exact up to a thousand signs; NaN without any.

    >>> sign_test(8, 0)
    0.0078125
    """
    count, most = positive + negative, max(positive, negative)
    if not count:
        return math.nan
    if count > _EXACT:
        # Half a sign less: a count is a step of the Gaussian's curve.
        return min(1.0, math.erfc((2 * most - count - 1) / math.sqrt(2.0 * count)))
    ways = term = 1
    for left in range(count, most, -1):
        term = term * left // (count - left + 1)
        ways += term
    return float(min(1.0, 2 * ways / (1 << count)))


def _standing_out(sizes: np.ndarray, floors: np.ndarray) -> np.ndarray:
    """Mark the modules far beyond the others; none where they are more than a few."""
    nothing = np.zeros(sizes.shape, dtype=bool)
    if not sizes.size:
        return nothing
    # np.median would bring numpy.ma: a tenth of what `check` takes to start.
    ordered = np.sort(np.maximum(sizes, floors))
    typical = float(ordered[(sizes.size - 1) // 2] + ordered[sizes.size // 2]) / 2.0
    out = sizes >= np.maximum(
        STANDS_OUT_CHANCE * floors, max(STANDS_OUT_LEAST, STANDS_OUT * typical)
    )
    return out if out.sum() <= FEW * sizes.size else nothing
