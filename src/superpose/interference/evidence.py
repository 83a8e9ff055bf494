"""The sentences behind a verdict: what was measured of a pair, beside what chance gives.

Weights tell how two updates lie to each other. Whether the sum answers well also depends on the
inputs that reach them; that only an evaluation tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from superpose.errors import listed
from superpose.interference import borders as at
from superpose.interference.no_cosine import WITHOUT_COSINE
from superpose.interference.reading import (
    beyond_chance,
    is_crowded,
    is_dominated,
    is_explained,
    is_systematic,
)

if TYPE_CHECKING:
    from superpose.interference.figures import PairFigures

__all__ = ["NOTHING_FOUND", "ONE", "evidence"]

NOTHING_FOUND = frozenset({"unrelated", "orthogonal"})
"""Verdicts of pairs that chance would give too."""

_ONLY = "Whether the sum is good, only an evaluation tells."


def evidence(verdict: str, pair: PairFigures) -> Iterator[str]:
    """Give the sentences for a pair that is read as `verdict`."""
    if verdict in WITHOUT_COSINE:
        yield WITHOUT_COSINE[verdict](pair)
        if verdict == "no shared modules" and is_dominated(pair):
            yield _dominated(pair)
        return
    yield _cosine(pair)
    if verdict in _RELATIONS:
        yield _RELATIONS[verdict](pair)
    if verdict in ONE:
        yield from _zero(pair)
        return
    for sentences in (_modules, _energy, _sides, _remarks, _zero):
        yield from sentences(pair)
    if verdict in NOTHING_FOUND:
        yield "Nothing in the weights speaks against adding them."
    yield _ONLY


def _remarks(pair: PairFigures) -> Iterator[str]:
    if is_dominated(pair):
        yield _dominated(pair)
    if pair.shared_a:
        yield (
            "They started from the same A: the input overlap and part of the cosines come from "
            "that start, not from what was learned."
        )


def _zero(pair: PairFigures) -> Iterator[str]:
    if pair.zero_modules:
        yield (
            f"{pair.zero_modules} of {len(pair.modules)} shared modules have a zero delta and no "
            "cosine; they are left out."
        )


_THREE = 0.02
"""Size of a cosine from which three decimals tell it."""

ONE = frozenset({"the same adapter", "a scaled copy", "a negated copy"})
"""Where the sum is known without an evaluation."""


def _cosine(pair: PairFigures) -> str:
    cosine = f"{pair.cosine:+.{3 if abs(pair.cosine) >= _THREE else 4}f}"
    if abs(pair.cosine) >= at.ONE_RUN:
        return f"Cosine {cosine}."
    said = f"Cosine {cosine}, {_number(abs(pair.multiple))} times its floor"
    if abs(pair.multiple) >= at.CLEAR_OF_CHANCE and is_explained(pair):
        return f"{said}, which the overlap of their sides explains."
    if abs(pair.multiple) >= at.CLEAR_OF_CHANCE:
        return f"{said}, more than chance gives."
    if not beyond_chance(pair):
        return f"{said}, as chance would be."
    return (
        f"{said}, as chance would be; module by module it is more (RMS cosine "
        f"{pair.rms_cosine:.4f}, {_number(pair.rms_cosine / pair.rms_cosine_floor)} times its "
        "floor)."
    )


def _same(pair: PairFigures) -> str:
    return "The sum is twice either. `superpose diff` says how they differ, if they do."


def _scaled(pair: PairFigures) -> str:
    large, small = _by_norm(pair)
    ratio = pair.norm_ratio
    return f"{large} is {ratio:.2f} times {small}: the sum is {ratio + 1:.2f} times {small}."


def _negated(pair: PairFigures) -> str:
    if pair.norm_ratio <= at.EQUAL_NORMS:
        return "One is the other with the sign turned: the sum is nothing."
    large, small = _by_norm(pair)
    ratio = pair.norm_ratio
    return f"{large} is -{ratio:.2f} times {small}: the sum is -{ratio - 1:.2f} times {small}."


def _nearly(pair: PairFigures) -> str:
    return (
        "One is the other and a little more, as two points of one training or copies in other "
        f"precisions are: the sum is about {1 + pair.norm_ratio:.1f} times {_by_norm(pair)[1]}."
    )


def _one_run(pair: PairFigures) -> str:
    return (
        f"They read the same inputs (overlap {pair.input_overlap:.2f}): two points of one "
        "training, or one that went on from the other."
    )


def _mixed(pair: PairFigures) -> str:
    return (
        "They agree in some modules and oppose in others: RMS cosine "
        f"{pair.rms_cosine:.3f}, {_number(pair.rms_cosine / pair.rms_cosine_floor)} times its "
        "floor."
    )


def _within(pair: PairFigures) -> str:
    assert pair.contained is not None
    part, times = pair.contained
    small, large = (pair.a, pair.b) if part == 0 else (pair.b, pair.a)
    return (
        f"All that {small} reads and writes lies within {large}, as a part lies within a sum; "
        f"{large} holds it {times:+.2f} times."
    )


_RELATIONS: dict[str, Callable[[PairFigures], str]] = {
    "the same adapter": _same,
    "a scaled copy": _scaled,
    "a negated copy": _negated,
    "nearly the same adapter": _nearly,
    "continued training": _one_run,
    "one within the other": _within,
    "mixed signs": _mixed,
}
"""What the two are to each other, where a cosine does not tell it."""


def _modules(pair: PairFigures) -> Iterator[str]:
    found = pair.agreement
    if len(pair.modules) < max(pair.held):
        yield (
            f"They share {len(pair.modules)} of {pair.held[0]} and {pair.held[1]} target modules; "
            "the others count in the norms alone."
        )
    signed = found.positive_modules + found.negative_modules
    if signed > 1:
        yield _signs(pair, signed)
    if found.orthogonal_modules:
        yield f"{_counted(found.orthogonal_modules, 'module')} with a cosine of exactly 0."
    if found.standing_out and found.carried >= at.MENTIONED:
        yield _standing_out(pair)


def _signs(pair: PairFigures, signed: int) -> str:
    found = pair.agreement
    more = found.positive_modules - found.negative_modules
    # Where as many agree as oppose, those count that have the sign of the whole.
    sign = "positive" if (more or pair.cosine) >= 0 else "negative"
    most = max(found.positive_modules, found.negative_modules)
    said = f"{most} of {signed} modules have a {sign} cosine"
    if abs(pair.cosine) >= at.ONE_RUN:
        return f"{said}."
    said += (
        f" (sign test p = {found.sign_test:.1g}; their mean lies {_number(abs(found.z))} standard "
        "deviations from chance)"
    )
    if not is_systematic(pair):
        return f"{said}."
    where = "nearly every module" if most >= at.SAME_SIGN * signed else "most modules"
    return f"{said}: it is systematic, in {where}."


def _standing_out(pair: PairFigures) -> str:
    found = pair.agreement
    cosine = {module.name: module.cosine for module in pair.modules}
    named = listed([f"{name} ({cosine[name]:+.2f})" for name in found.standing_out], 3, "{}")
    known = len(pair.modules) - pair.zero_modules
    return (
        f"Far beyond the others: {named}, {len(found.standing_out)} of {known} modules with "
        f"{_percent(found.carried)} of what the two have in common; without them the cosine is "
        f"{found.rest_cosine:+.4f}."
    )


def _energy(pair: PairFigures) -> Iterator[str]:
    more = pair.energy_shared
    if abs(more) < 5e-6:
        return
    what = "what they share is counted twice" if more > 0.0 else "what they oppose cancels"
    tail = f": {what}" if beyond_chance(pair) else ""
    yield (
        f"The sum has {_percent(abs(more))} {'more' if more > 0.0 else 'less'} energy than that of "
        f"two unrelated adapters{tail}."
    )


def _sides(pair: PairFigures) -> Iterator[str]:
    sides = [
        f"{name} {value:.3f}, {_number(value / chance)} times chance"
        for name, value, chance in (
            ("outputs", pair.output_overlap, pair.output_chance),
            ("inputs", pair.input_overlap, pair.input_chance),
        )
        if chance > 0.0
    ]
    if sides:
        same = "They write to the same outputs. " if is_crowded(pair) else ""
        yield f"{same}Overlap of {'; of '.join(sides)}."


def _dominated(pair: PairFigures) -> str:
    large, small = _by_norm(pair)
    share = (1.0 / math.hypot(1.0, pair.norm_ratio)) ** 2
    return (
        f"{large} is {pair.norm_ratio:.1f} times as large as {small} and drowns it: {small} has "
        f"{_percent(share)} of their energy."
    )


def _by_norm(pair: PairFigures) -> tuple[str, str]:
    return (pair.a, pair.b) if pair.norms[0] > pair.norms[1] else (pair.b, pair.a)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def _percent(share: float) -> str:
    value = 100.0 * share
    form = ".0f" if value >= 9.95 else ".1f" if value >= 0.95 else ".1g"
    return f"{value:{form}} %"
