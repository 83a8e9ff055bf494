"""Which sums add up and which do not, in a line and by lights: by the share of each gain kept."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from superpose.interference.checking import all_of
from superpose.shown import Cell, Column, Table
from superpose.shown.words import counted, figure, joined

__all__ = [
    "CANNOT_TELL",
    "KEPT",
    "MORE_TELLS",
    "NO_GAIN",
    "RULE",
    "Names",
    "Share",
    "for_all",
    "least",
    "lights",
    "share_text",
    "sum_of",
    "which_add_up",
]

KEPT = 0.9
"""A sum that keeps nine tenths of every adapter's gain is as good as switching between them."""

CANNOT_TELL = "cannot tell"
NO_GAIN = "No adapter gains more on its own domain than the calibration rows differ by chance"
MORE_TELLS = "more rows tell more, and so do adapters that were trained for longer"

RULE = (
    f"A sum adds up where it keeps at least {100 * KEPT:.0f} % of what each domain's own adapter "
    "gains over the base, in nats an answer token"
)

FEW, MOST = 3, 20
"""Sums that are named, more are counted; and those that have a light."""

Names: TypeAlias = tuple[str, ...]
Standing: TypeAlias = Literal["up", "perhaps", "not"]

FIRST = {"up": "add up", "perhaps": "may add up", "not": "do not add up"}
THEN = {"up": "do", "perhaps": "may", "not": "do not"}
EVERY = {
    "up": "They add up, in every combination",
    "perhaps": "They may add up, in every combination",
    "not": "No two of them add up as they are",
}
LIGHT = {"up": "● adds up", "perhaps": "◐ may add up", "not": "○ does not"}
SHADE = {"up": -0.5, "perhaps": 0.0, "not": 0.5}


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


def which_add_up(sums: Mapping[Names, Sequence[Share]]) -> str:
    """Give the line that says which sums add up; `lights` has the shares that show it.

    sums: adapters -> the share that each of their domains keeps under their naive sum.
    """
    judged = [_Sum.judged(names, shares) for names, shares in sums.items()]
    kinds: dict[Standing, list[_Sum]] = {}
    standing: Standing
    for standing in ("up", "perhaps", "not"):
        if held := [one for one in judged if one.standing == standing]:
            kinds[standing] = held
    if len(judged) == 1:
        return f"{_label(judged[0].names)} {FIRST[judged[0].standing]}."
    if len(kinds) == 1:
        (standing,) = kinds
        return f"{EVERY[standing]}."
    others = _others(kinds)
    order: list[Standing] = [*(kind for kind in kinds if kind != others), others]
    return f"{_claim(kinds, order, len(judged))}."


def lights(sums: Mapping[Names, Sequence[Share]], points: str, rows: Mapping[str, int]) -> Table:
    """Give a light for each sum, with the share that decides it: the best first.

    sums: as `which_add_up` takes them. points: what the shares rest on, in words. rows: of each
    domain; those that a share is of stand beside it, where they are known.
    """
    found = [_Sum.judged(names, shares) for names, shares in sums.items()]
    order = list(LIGHT)
    found.sort(key=lambda one: (order.index(one.standing), -one.kept))
    columns = (
        Column("sum", "names"),
        Column("light"),
        Column("keeps", form=""),
        Column("of the gain on"),
        *([Column("rows", form="d")] if rows else []),
    )
    cells = (
        (
            Cell.sum_of(one.names),
            Cell(LIGHT[one.standing], value=one.standing, shade=SHADE[one.standing]),
            _share_cell(one.share),
            Cell(one.share.domain, value=one.share.domain),
            *([Cell(f"{rows[one.share.domain]:,}")] if rows else []),
        )
        for one in found[:MOST]
    )
    fewer = f" {MOST} of {counted(len(found), 'sum')}, the best first." if len(found) > MOST else ""
    return Table(
        "What the naive sums keep of each adapter's gain, where they keep least", columns,
        tuple(cells), f"{RULE} ({points}).{fewer}",
    )  # fmt: skip


def _share_cell(share: Share) -> Cell:
    text, _, ends = share_text(share).partition(" (")
    return Cell(text, ends.rstrip(")"), share.kept)


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
