"""The interval of a share of few: also where all of them, or none, came out one way."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from superpose.errors import BadInput
from superpose.statistics.bootstrap import Interval

__all__ = ["clopper_pearson", "wilson"]

_HALVINGS = 60


def clopper_pearson(hits: int, of: int, level: float = 0.95) -> Interval:
    """Give the shares that `hits` of so many independent trials leave possible.

    The lower end is the share under which as many hits or more have probability
    (1 - level) / 2, the upper that of as many or fewer (Clopper and Pearson, Biometrika 26, 1934):
    never too narrow for independent trials, and not [1, 1] for nine of nine, which a bootstrap
    gives. Raises BadInput for hits outside 0 to `of`, no trials, or a level outside (0, 1).

        >>> [round(end, 3) for end in clopper_pearson(9, 9)]
        [0.664, 1.0]
    """
    _checked(hits, of, level)
    tail = (1 - level) / 2
    low = 0.0 if not hits else _where(lambda p: _at_least(hits, of, p) < tail)
    # As many misses or more are as many hits or fewer.
    high = 1.0 if hits == of else _where(lambda p: _at_least(of - hits, of, 1 - p) > tail)
    return low, high


def wilson(hits: float, of: float, level: float = 0.95) -> Interval:
    """Give the shares whose score test does not reject `hits` of so many independent trials.

    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n) (Wilson, JASA 22, 1927): right on the mean
    over shares where `clopper_pearson` is never too narrow. hits: their mean where several runs had
    the same trials. of: what the trials are worth, no whole number where each is not certain.
    Raises BadInput as `clopper_pearson` does.

        >>> [round(end, 3) for end in wilson(9, 9)]
        [0.701, 1.0]
    """
    _checked(hits, of, level)
    z, share = NormalDist().inv_cdf((1 + level) / 2), hits / of
    middle = share + z * z / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = ((middle + sign * reach) / (1 + z * z / of) for sign in (-1, 1))
    return (0.0 if not hits else low), (1.0 if hits == of else high)


def _checked(hits: float, of: float, level: float) -> None:
    if not 0 <= hits <= of or not of:
        raise BadInput(f"{hits} of {of} is no share")
    if not 0 < level < 1:
        raise BadInput(f"a level lies between 0 and 1, and {level} does not")


def _where(below: Callable[[float], bool]) -> float:
    """Give where `below` turns from true to false between 0 and 1."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low


def _at_least(hits: int, of: int, share: float) -> float:
    """Give the binomial probability of `hits` or more, 0 < share < 1."""
    log_hit, log_miss = math.log(share), math.log1p(-share)
    return math.fsum(
        math.exp(
            math.lgamma(of + 1)
            - math.lgamma(k + 1)
            - math.lgamma(of - k + 1)
            + k * log_hit
            + (of - k) * log_miss
        )
        for k in range(hits, of + 1)
    )
