"""What a pair is called, from its figures and the borders between one reading and the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from superpose.interference import borders as at

if TYPE_CHECKING:
    from superpose.interference.figures import PairFigures

__all__ = [
    "READINGS",
    "beyond_chance",
    "is_crowded",
    "is_dominated",
    "is_explained",
    "is_systematic",
    "reading",
]


def beyond_chance(pair: PairFigures) -> bool:
    """Whether unrelated deltas hardly give such cosines: as a whole, on average, or in size."""
    return _directed(pair) or _spread(pair)


def is_systematic(pair: PairFigures) -> bool:
    """Whether more modules agree in sign than chance has it, by a sign test."""
    return pair.agreement.sign_test < at.SYSTEMATIC


def is_dominated(pair: PairFigures) -> bool:
    """Whether one adapter is so much larger that the other hardly counts."""
    return pair.norm_ratio >= at.DROWNED


def is_crowded(pair: PairFigures) -> bool:
    """Whether they write to the same outputs, whatever their cosine is."""
    # Of sides of rank 1 the overlap deviates by sqrt(2) times its mean, of larger ones by less.
    spread = 1.0 + at.CROWDED_SPREAD * math.sqrt(2.0 / max(1, len(pair.modules)))
    times = max(at.CROWDED_CHANCE, spread)
    return pair.output_overlap >= max(at.CROWDED, times * pair.output_chance)


def reading(pair: PairFigures) -> str:
    """Give the weightiest reading that holds: the first of READINGS."""
    return next(word for word, holds in READINGS.items() if holds(pair))


def _directed(pair: PairFigures) -> bool:
    """Whether the cosine, as a whole or on average over modules, has a sign beyond chance."""
    return _far(pair) >= at.CLEAR_OF_CHANCE and not is_explained(pair)


def is_explained(pair: PairFigures) -> bool:
    """Whether overlapping sides explain the cosine's size, and the modules' signs are chance's."""
    overlapping = is_crowded(pair) or pair.input_overlap >= at.ONE_RUN_INPUTS
    within = at.CLEAR_OF_CHANCE * _floor_within_sides(pair) / pair.rms_cosine_floor
    return overlapping and _far(pair) < within and not is_systematic(pair)


def _far(pair: PairFigures) -> float:
    """Standard deviations that the cosine, or the modules' mean, is away from chance."""
    return max(abs(pair.multiple), abs(pair.agreement.z))


def _spread(pair: PairFigures) -> bool:
    """Whether the modules' cosines are larger than chance has them, whatever their signs."""
    count = len(pair.modules) - pair.zero_modules
    return count > 0 and pair.agreement.spread >= 1.0 + at.SPREAD * math.sqrt(8.0 / count)


def _no_shared_modules(pair: PairFigures) -> bool:
    """None that both change: one of two deltas that is zero is no change."""
    return len(pair.modules) == pair.zero_modules and all(map(math.isfinite, pair.norms))


def _no_cosine(pair: PairFigures) -> bool:
    return not math.isfinite(pair.cosine)


def _orthogonal(pair: PairFigures) -> bool:
    found = pair.agreement
    return found.orthogonal_modules > 0 == found.positive_modules + found.negative_modules


def _same_size(pair: PairFigures) -> bool:
    return pair.norm_ratio <= at.EQUAL_NORMS


def _mixed(pair: PairFigures) -> bool:
    """Agreeing here and opposing there, by more than faintly, chance, and what overlaps explain."""
    excess = math.sqrt(max(0.0, pair.rms_cosine**2 - pair.rms_cosine_floor**2))
    if excess < at.FAINT or not _spread(pair):
        return False
    if pair.rms_cosine < at.EXPLAINED * _floor_within_sides(pair):
        return False
    return abs(pair.agreement.mean_cosine) <= at.MIXED * pair.rms_cosine or not _directed(pair)


def _floor_within_sides(pair: PairFigures) -> float:
    """What cosines unrelated deltas have whose sides overlap as these do.

    The floor's square is the product of both sides' chance overlaps over the ranks, so that it
    grows with each overlap's multiple of chance.
    """
    times = [
        max(1.0, value / chance)
        for value, chance in (
            (pair.output_overlap, pair.output_chance),
            (pair.input_overlap, pair.input_chance),
        )
        if chance > 0.0
    ]
    return pair.rms_cosine_floor * math.sqrt(math.prod(times))


def _uneven(pair: PairFigures) -> bool:
    found = pair.agreement
    return bool(found.standing_out) and found.carried >= at.UNEVEN


def _one_run(pair: PairFigures) -> bool:
    return pair.cosine >= at.ONE_RUN and pair.input_overlap >= max(
        at.ONE_RUN_INPUTS, at.CROWDED_CHANCE * pair.input_chance
    )


def _small(pair: PairFigures) -> bool:
    return abs(pair.cosine) >= at.FAINT and _directed(pair)


READINGS: dict[str, Callable[[PairFigures], bool]] = {
    "no deltas": lambda p: 0 in p.held,
    "adds nothing": lambda p: 0.0 in p.norms,
    "no shared modules": _no_shared_modules,
    "no cosine": _no_cosine,
    "the same adapter": lambda p: p.cosine >= at.COPY and _same_size(p),
    "a scaled copy": lambda p: p.cosine >= at.COPY,
    "a negated copy": lambda p: p.cosine <= -at.COPY,
    "nearly the same adapter": lambda p: p.cosine >= at.NEARLY_COPY,
    "one within the other": lambda p: p.contained is not None and _directed(p),
    "cancelling": lambda p: p.cosine <= at.CANCELLING,
    "continued training": _one_run,
    "one drowns the other": is_dominated,
    "uneven": _uneven,
    "a large common direction": lambda p: p.cosine >= at.LARGE and _directed(p),
    "a large opposing direction": lambda p: p.cosine <= -at.LARGE and _directed(p),
    "mixed signs": _mixed,
    "a small common direction": lambda p: _small(p) and p.cosine > 0.0,
    "a small opposing direction": lambda p: _small(p) and p.cosine < 0.0,
    "shared A": lambda p: p.shared_a,
    "crowded outputs": is_crowded,
    "orthogonal": _orthogonal,
    "a faint relation": beyond_chance,
    "unrelated": lambda p: True,
}
"""Every reading, the weightiest first, and when it holds of a pair if none before it does."""
