"""The page of `superpose check`: what the weights tell of every pair, and of the sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Sized
from typing import Any

from superpose.files import short_names
from superpose.interference import VERDICTS
from superpose.interference.checking import ADAPTER_COLUMNS
from superpose.report.made import Making, made_section
from superpose.report.page import Page, Section
from superpose.report.pairs import pairs_section
from superpose.report.tables import plain_table
from superpose.report.texts import names_or_number
from superpose.shown import Column, Table
from superpose.shown.words import counted, figure, joined

__all__ = ["PAIR_TERMS", "check_page"]

PAIR_TERMS = ("delta", "cosine", "RMS cosine", "floor", "overlap", "norm ratio", "energy ratio")


_TOLD = (
    *("a", "b", "verdict", "reason", "next", "cosine", "cosine_floor"),
    *("output_overlap", "output_chance"),
)
"""What the verdict is told from: of each pair, whether or not it is shown."""


def check_page(
    check: Mapping[str, Any], made: Making, foremost: Collection[str] | None = None
) -> Page:
    """Give the page of what `check --json` holds; its pairs may come one by one.

    foremost: names of the adapters whose pairs are shown one by one, in maps and a table. None for
    all; the verdict is of all.
    """
    short = short_names([adapter["name"] for adapter in check["adapters"]])
    names = list(short.values())
    shown, every = [], []
    for pair in check["pairs"]:
        # Of what may be many, no record of every module is held that is not shown.
        every.append({k: pair[k] for k in _TOLD if k in pair} | {"modules": _Held(pair["modules"])})
        if foremost is None or (pair["a"] in foremost and pair["b"] in foremost):
            shown.append(pair)
    some = [a for a in check["adapters"] if foremost is None or a["name"] in foremost]
    remark = "" if len(some) == len(names) else _FEWER.format(len(some), len(names))
    sections = (
        verdict_of_check({**check, "pairs": every}, short),
        pairs_section({**check, "adapters": some, "pairs": shown}, remark),
        made_section(made, PAIR_TERMS),
    )
    said = {str(pair["verdict"]) for pair in every}
    title = (
        f"{names_or_number(names)}: {said.pop()}"
        if len(said) == 1
        else f"What {names_or_number(names)} have in common"
    )
    return Page(title, "What the weights alone tell", sections)


_FEWER = (
    "These are the pairs of {} of {:,} adapters, those with pairs farthest from orthogonal; "
    "superpose check --csv and --json give every pair."
)


class _Held:
    """How many there are, where no more is told."""

    def __init__(self, items: Sized) -> None:
        self._count = len(items)

    def __len__(self) -> int:
        return self._count


def verdict_of_check(check: Mapping[str, Any], short: Mapping[str, str]) -> Section:
    """Give every pair's verdict, the weightiest with its reason and what to do, and the figures."""
    pairs: Sequence[Mapping[str, Any]] = check["pairs"]
    groups: dict[str, list[str]] = {}
    for pair in pairs:
        groups.setdefault(str(pair["verdict"]), []).append(_label(pair, short))
    ordered = [verdict for verdict in VERDICTS if verdict in groups]
    says = _in_one_sentence(ordered, groups, len(pairs))
    first = _weightiest(pairs)
    whose = "" if len(pairs) == 1 else f"{_label(first, short)}: "
    name = Column("adapter", lambda adapter: short[adapter["name"]])
    adapters = Table.of("The adapters", (name, *ADAPTER_COLUMNS), check["adapters"])
    values = {
        "sentences": [(says, f"Next: {whose}{first['next']}")],
        "remark": f"{whose}{first['reason']} These figures are exact functions of the weights, not "
        "estimates: what stands beside them is what chance alone would give.",
        "cards": _cards(check, pairs),
        "lists": [plain_table(adapters)],
    }
    return Section("verdict", "Verdict", values)


def _label(pair: Mapping[str, Any], short: Mapping[str, str]) -> str:
    return f"{short[pair['a']]} + {short[pair['b']]}"


def _weightiest(pairs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Give the pair with the weightiest verdict, of several the one with the largest cosine."""
    return min(pairs, key=lambda p: (VERDICTS.index(p["verdict"]), -abs(p["cosine"] or 0.0)))


def _in_one_sentence(
    ordered: Sequence[str], groups: Mapping[str, Sequence[str]], count: int
) -> str:
    if len(ordered) == 1:
        all_of = groups[ordered[0]][0] if count == 1 else f"All {count} pairs"
        return f"{all_of}: {ordered[0]}."
    parts = []
    for verdict in ordered:
        pairs = groups[verdict]
        shown = joined(pairs) if len(pairs) <= 3 else counted(len(pairs), "pair")
        parts.append(f"{shown}: {verdict}")
    return f"{'; '.join(parts)}."


def _cards(check: Mapping[str, Any], pairs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Give the figures that the verdict rests on, each with what chance gives and how many."""
    widest = max(pairs, key=lambda p: abs(p["cosine"] or 0.0))
    crowded = max(pairs, key=lambda p: p["output_overlap"] or 0.0)
    modules = Counter(len(pair["modules"]) for pair in pairs)
    most = max(modules)
    return [
        {
            "name": "Largest cosine",
            "value": figure(widest["cosine"], "+.4f"),
            "beside": f"chance ± {figure(_twice(widest['cosine_floor']), '.4f')} (95 %)",
            "count": f"{counted(len(pairs), 'pair')}, {counted(most, 'target module')}",
        },
        {
            "name": "Largest output overlap",
            "value": figure(crowded["output_overlap"], ".3f"),
            "beside": f"chance {figure(crowded['output_chance'], '.3f')}",
            "count": f"mean over {counted(len(crowded['modules']), 'target module')}",
        },
        {
            "name": "Energy of the sum",
            "value": figure(check["sum"]["energy_ratio"], ".3f"),
            "beside": f"1 orthogonal, {len(check['adapters'])} equal",
            "count": counted(len(check["adapters"]), "adapter"),
        },
    ]


def _twice(floor: float | None) -> float | None:
    return None if floor is None else 1.96 * floor
