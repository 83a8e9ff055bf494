"""Which sums add up and which do not, in one sentence: by the share of each gain that they keep."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from superpose.interference.checking import all_of
from superpose.shown.words import figure, joined

__all__ = [
    "CANNOT_TELL",
    "KEPT",
    "MORE_TELLS",
    "NO_GAIN",
    "Names",
    "Share",
    "for_all",
    "least",
    "share_text",
    "sum_of",
    "which_add_up",
]

KEPT = 0.9
"""A sum that keeps nine tenths of every adapter's gain is as good as switching between them."""

CANNOT_TELL = "cannot tell"
NO_GAIN = "No adapter gains more on its own domain than the calibration rows differ by chance"
MORE_TELLS = "more rows tell more, and so do adapters that were trained for longer"

BORDER = f"{100 * KEPT:.0f} %"

UNDECIDED = f", too close to {BORDER} to say"

FEW = 3
"""Sums that are named; more are counted."""

Names: TypeAlias = tuple[str, ...]
Standing: TypeAlias = Literal["up", "perhaps", "not"]

FIRST = {"up": "add up", "perhaps": "may add up", "not": "do not add up"}
THEN = {"up": "do", "perhaps": "may", "not": "do not"}
EVERY = {
    "up": "They add up, in every combination",
    "perhaps": "They may add up, in every combination",
    "not": "No two of them add up as they are",
}


@dataclass(frozen=True)
class Share:
    """What a domain keeps of its own adapter's gain, with a 95 % interval; None where no gain."""

    domain: str
    kept: float | None
    low: float | None
    high: float | None


def least(shares: Sequence[Share]) -> Share:
    """Give the domain that keeps least; one without a gain where none has a gain."""
    known = [share for share in shares if share.kept is not None]
    return min(known or shares, key=lambda share: share.kept or 0.0)


def share_text(share: Share) -> str:
    """Give `89 % (84 to 93 %)`."""
    if share.kept is None:
        return "all"
    text = f"{figure(100 * share.kept, '.0f')} %"
    if share.low is None or share.high is None:
        return text
    return f"{text} ({figure(100 * share.low, '.0f')} to {figure(100 * share.high, '.0f')} %)"


@dataclass(frozen=True)
class _Sum:
    """A naive sum: its adapters, how it stands, and the share that says so."""

    names: Names
    standing: Standing
    share: Share

    @classmethod
    def judged(cls, names: Names, shares: Sequence[Share]) -> _Sum:
        """Judge by every domain's interval; by the share itself where there is no interval."""
        below = [s for s in shares if s.kept is not None and _end(s.high, s.kept) < KEPT]
        open_ = [s for s in shares if s.kept is not None and _end(s.low, s.kept) < KEPT]
        standing: Standing = "not" if below else "perhaps" if open_ else "up"
        return cls(names, standing, least(below or open_ or shares))

    @property
    def kept(self) -> float:
        """The share as a number: all of it where there is no gain."""
        return 1.0 if self.share.kept is None else self.share.kept


def which_add_up(sums: Mapping[Names, Sequence[Share]], points: str) -> tuple[str, str]:
    """Give the claim, up to a colon, and the rest of the sentence: shares that show it.

    sums: adapters -> the share that each of their domains keeps under their naive sum. points: how
    many points the shares rest on, in words.
    """
    judged = [_Sum.judged(names, shares) for names, shares in sums.items()]
    kinds: dict[Standing, list[_Sum]] = {}
    standing: Standing
    for standing in ("up", "perhaps", "not"):
        if held := [one for one in judged if one.standing == standing]:
            kinds[standing] = held
    if len(judged) == 1:
        return f"{_label(judged[0].names)} {FIRST[judged[0].standing]}:", _alone(judged[0], points)
    if len(kinds) == 1:
        (standing,) = kinds
        return f"{EVERY[standing]}:", f"{_evidence(kinds[standing], 'they')} ({points})."
    others = _others(kinds)
    order: list[Standing] = [*(kind for kind in kinds if kind != others), others]
    shown = [_evidence(kinds[k], "the others" if k == others else f"those that {THEN[k]}")
             for k in order]  # fmt: skip
    return f"{_claim(kinds, order, len(judged))}:", f"{'; '.join(shown)} ({points})."


def sum_of(share: Share) -> str:
    """Give the end of a sentence about a sum: what it keeps. share: the least."""
    if share.kept is None:
        return "has no gain over the base to lose"
    return f"keeps {share_text(share)} of the gain on {share.domain}, where it keeps least"


def for_all(count: int) -> str:
    """Give `For all 3 together`."""
    return f"For {all_of(count)} together"


def _end(end: float | None, kept: float) -> float:
    return kept if end is None else end


def _label(names: Names) -> str:
    return " + ".join(names)


def _alone(found: _Sum, points: str) -> str:
    """Say of the only sum what it keeps where that decides how it stands."""
    if found.standing == "up":
        return f"their sum {sum_of(found.share)} ({points})."
    inside = UNDECIDED if found.standing == "perhaps" else ""
    kept = f"{share_text(found.share)} of the gain on {found.share.domain}"
    return f"their sum keeps {kept}{inside} ({points})."


def _others(kinds: Mapping[Standing, Sequence[_Sum]]) -> Standing:
    """Give the kind that comes last and is not named: the largest.

    But what adds up is named wherever the rest would only be counted.
    """
    every: list[Standing] = list(kinds)
    many = [kind for kind in every if kind != "up" and len(kinds[kind]) > FEW]
    return max(reversed(many or every), key=lambda kind: len(kinds[kind]))


def _claim(kinds: Mapping[Standing, Sequence[_Sum]], order: Sequence[Standing], total: int) -> str:
    adapters = len({name for held in kinds.values() for one in held for name in one.names})
    clauses: list[str] = []
    for kind in order:
        names = [one.names for one in kinds[kind]]
        who = "the others" if kind == order[-1] else _named(names, kind, total, adapters)
        clauses.append(f"{who} {THEN[kind] if clauses else FIRST[kind]}")
    return ", ".join(clauses)


def _named(sums: Sequence[Names], kind: Standing, total: int, adapters: int) -> str:
    """Name some of `total` sums of so many adapters: each, or by what they have in common."""
    if len(sums) <= FEW:
        return joined(map(_label, sums))
    count = f"{len(sums):,} of {total:,} sums"
    if kind != "up":
        return count
    most = max(map(len, sums))
    if len(sums) == sum(math.comb(adapters, size) for size in range(2, most + 1)):
        return "all sums of two" if most == 2 else f"all sums of up to {most}"
    largest = _largest(sums)
    if len(largest) <= FEW and len(sums) == len(_within(largest)):
        return f"{joined(map(_label, largest))}, with every sum within,"
    return f"{count}, the largest {_label(largest[0])},"


def _within(sums: Sequence[Names]) -> set[Names]:
    """Give these sums and every sum of some of the same adapters."""
    return {
        part for names in sums for size in range(2, len(names) + 1)
        for part in itertools.combinations(names, size)
    }  # fmt: skip


def _largest(sums: Sequence[Names]) -> list[Names]:
    """Give the sums that lie within no other, largest first; no more than FEW + 1 of them."""
    found: list[Names] = []
    for names in sorted(sums, key=len, reverse=True):
        if not any(set(names) <= set(other) for other in found):
            found.append(names)
        if len(found) > FEW:
            break
    return found


def _evidence(held: Sequence[_Sum], who: str) -> str:
    """Give the share that is nearest to the border, with what it is of. who: all of `held`."""
    standing = held[0].standing
    found = (max if standing == "not" else min)(held, key=lambda one: one.kept)
    if found.share.kept is None:
        return f"{who} have no gain over the base to lose"
    name, share = _label(found.names), share_text(found.share)
    gain = f"of the gain on {found.share.domain}"
    if len(held) == 1:
        return f"{name} keeps {share} {gain}{UNDECIDED if standing == 'perhaps' else ''}"
    if standing == "perhaps":
        return f"{who} are too close to {BORDER} to say, such as {name} with {share} {gain}"
    if standing == "not":
        best = f"even the best, {name}, keeps only {share} {gain}"
        return best if who == "they" else f"of {who} {best}"
    return f"{who} keep at least {share} of every gain, {name} on {found.share.domain}"
