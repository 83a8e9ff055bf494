"""The interval of a figure that was measured for several seeds, each on the same test rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from superpose.statistics.bootstrap import Interval
from superpose.statistics.student import student_quantile

__all__ = ["over_seeds"]


def over_seeds(
    percents: Sequence[float], rows: Interval | None, level: float = 0.95
) -> Interval | None:
    """Widen an interval of a change in per cent, over test rows alone, by what seeds differ.

    percents: the change for each of S seeds, 100 (ratio - 1). rows: the interval, of the same
    level, of their mean over the test rows, seeds held fixed (`ratio_interval` of the rows' means).

    Of the changes' logarithms d, with mean m and standard deviation s, Student's interval over
    seeds is m ± h with h = t s / sqrt(S), t of S - 1 degrees of freedom: what other trainings would
    give on these rows. What other rows would give with these trainings is m - l below and u - m
    above, l and u the logarithms of the ends of `rows`. Both errors are in the mean, so the margins
    are joined in squares: from m - sqrt(h² + (m - l)²) to m + sqrt(h² + (u - m)²), the limits of a
    sum of two effects from the limits of each (MOVER: Zou and Donner, Statistics in Medicine 27,
    2008, doi:10.1002/sim.3095). What a seed does on a row of its own is in both margins, which
    errs on the wide side.

    With one seed `rows` as it is: nothing is known of others. None where there is none.
    """
    if rows is None or len(percents) < 2:
        return rows
    logs = np.log1p(np.asarray(percents, dtype=np.float64) / 100)
    middle, seeds = float(logs.mean()), len(percents)
    half = student_quantile((1 + level) / 2, seeds - 1) * float(logs.std(ddof=1)) / math.sqrt(seeds)
    low, high = (math.log1p(end / 100) for end in rows)
    return (
        100 * math.expm1(middle - math.hypot(half, max(middle - low, 0.0))),
        100 * math.expm1(middle + math.hypot(half, max(high - middle, 0.0))),
    )
