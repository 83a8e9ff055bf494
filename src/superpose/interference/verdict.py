"""What a pair's figures mean, in words that claim no more than weights can tell.

Weights tell how two updates lie to each other. Whether the sum answers well also depends on the
inputs that reach them; that only an evaluation tells, and every reason says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from superpose.interference.diff import Difference
    from superpose.interference.pair import Pair

ALIGNED = 0.1
"""Size of a cosine that is called a direction of its own: at equal norms it changes the energy of
the sum by a tenth. Unrelated deltas of a real model stay below a hundredth of that."""

DROWNED = 5.0
"""Norm ratio from which the smaller adapter is called drowned: its share of the energy of an
orthogonal sum is 1 / (1 + 5^2), below 4 %."""

CROWDED = 0.25
"""Output overlap that is called crowded: a quarter of the smaller output space is common."""

CROWDED_CHANCE = 3.0
"""And so many times its chance value, which is large itself where d is small."""

BEYOND_CHANCE = 2.0
"""Multiple of its floor, a standard deviation, within which 95 of 100 unrelated pairs lie."""

CLEAR_OF_FLOOR = 5.0
"""Multiple of its floor from which a small cosine is called real rather than chance."""

TOO_SMALL = 0.01
"""Size of a cosine that is called far too small to matter: it changes the energy of the sum by less
than a hundredth. Narrow models have floors so high that chance is larger than this."""

_ONLY = "Whether the sum is good, only an evaluation tells."


class Verdict(NamedTuple):
    """verdict: one of a few fixed words, for programs. reason: sentences, for people."""

    verdict: str
    reason: str


def judge(pair: Pair) -> Verdict:
    """Give the weightiest finding as the verdict and all findings as its reason.

    Verdicts, weightiest first: "adds nothing", "no shared modules", "opposed", "aligned",
    "drowned", "shared A", "uneven", "crowded outputs", "nearly orthogonal".
    """
    found = list(_findings(pair))
    sentences = [sentence for _, sentence in found]
    if pair.zero_modules and found[0][0] not in ("adds nothing", "no shared modules"):
        sentences.append(
            f"{pair.zero_modules} of {len(pair.modules)} shared modules have a zero delta and "
            "no cosine; they are left out."
        )
    return Verdict(found[0][0], " ".join([*sentences, _ONLY]))


def judge_difference(found: Difference) -> str:
    """Say whether two adapters are the same, and how far apart they are where they are not."""
    size = "not comparable" if math.isnan(found.difference) else f"{found.difference:.3g}"
    if found.same:
        exactly = found.difference == 0.0
        return "the same" if exactly else f"the same up to rounding: relative difference {size}"
    if not found.one_base:
        return f"different: base models of different names; relative difference {size}"
    count = len(found.differing)
    of = len(found.modules) + len(found.tensors)
    over_all = f": relative difference {size} over all target modules" if found.modules else ""
    return f"different in {count} of {of} modules{over_all}"


def _findings(pair: Pair) -> Iterator[tuple[str, str]]:
    zero = [name for name, norm in zip((pair.a, pair.b), pair.norms, strict=True) if norm == 0.0]
    if zero:
        yield (
            "adds nothing",
            f"All deltas of {' and '.join(zero)} are zero (B is zero, as before any training, or "
            "the scaling is, as with lora_alpha 0).",
        )
        return
    if not pair.modules:
        yield (
            "no shared modules",
            "They change no target module in common, so neither touches what the other changes.",
        )
        if pair.norm_ratio >= DROWNED:
            yield _drowned(pair)
        return
    some = [*_directions(pair), *_conditions(pair)]
    yield from some or [_orthogonal(pair)]


def _directions(pair: Pair) -> Iterator[tuple[str, str]]:
    percent = f"cosine {pair.cosine:+.3f}"
    if pair.cosine <= -ALIGNED:
        yield "opposed", f"They point against each other ({percent}): in the sum they cancel."
    elif pair.cosine >= ALIGNED:
        yield (
            "aligned",
            f"They point the same way ({percent}): the sum counts what they share twice.",
        )


def _conditions(pair: Pair) -> Iterator[tuple[str, str]]:
    if pair.norm_ratio >= DROWNED:
        yield _drowned(pair)
    if pair.shared_a:
        yield (
            "shared A",
            "They started from the same A: the input overlap and part of the cosines "
            "come from that start, not from what was learned.",
        )
    if abs(pair.cosine) < ALIGNED <= pair.rms_cosine:
        yield (
            "uneven",
            f"Single modules agree or oppose (RMS cosine {pair.rms_cosine:.3f}) although the "
            f"whole does not (cosine {pair.cosine:+.3f}).",
        )
    if pair.output_overlap >= max(CROWDED, CROWDED_CHANCE * pair.output_chance):
        yield (
            "crowded outputs",
            f"They write to the same outputs (overlap {pair.output_overlap:.2f}, chance "
            f"{pair.output_chance:.3f}).",
        )


def _orthogonal(pair: Pair) -> tuple[str, str]:
    multiple = _multiple(pair.cosine, pair.cosine_floor)
    small = _beside_chance(pair.cosine, multiple)
    return (
        "nearly orthogonal",
        f"Cosine {pair.cosine:+.4f}, {multiple:.1f} times its floor, {small}: nothing in the "
        "weights speaks against adding them.",
    )


def _beside_chance(cosine: float, multiple: float) -> str:
    if multiple >= CLEAR_OF_FLOOR:
        return "which is small but not chance"
    if multiple >= BEYOND_CHANCE:
        matter = ", and far too small to matter" if abs(cosine) < TOO_SMALL else ""
        return f"a little more than chance{matter}"
    return "as chance would be"


def _drowned(pair: Pair) -> tuple[str, str]:
    large, small = (pair.a, pair.b) if pair.norms[0] > pair.norms[1] else (pair.b, pair.a)
    return (
        "drowned",
        f"{large} is {pair.norm_ratio:.1f} times as large as {small} and drowns it; a smaller "
        "task weight evens them out.",
    )


def _multiple(figure: float, floor: float) -> float:
    return abs(figure) / floor if floor > 0 else math.nan
