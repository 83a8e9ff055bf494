"""The page of `superpose check`: what the weights tell of every pair, and of the sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.files import short_names
from superpose.report.made import Made, made_section
from superpose.report.page import Page, Section
from superpose.report.pairs import pairs_section
from superpose.report.texts import counted, figure, joined

__all__ = ["PAIR_TERMS", "check_page"]

PAIR_TERMS = ("delta", "cosine", "RMS cosine", "floor", "overlap", "norm ratio", "energy ratio")

WHAT_TO_DO = {
    "adds nothing": "Leave out the adapter whose deltas are zero.",
    "no shared modules": "Add them: neither touches what the other changes.",
    "opposed": "Do not add them as they are: keep them apart, or train on merged data.",
    "aligned": "Add them with smaller task weights, or train on merged data.",
    "drowned": "Give the larger one a smaller task weight.",
    "shared A": "Compare cosines, not input overlaps, and predict the sum before you add.",
    "uneven": "Look at the modules that agree or oppose, and predict the sum before you add.",
    "crowded outputs": "Predict the sum before you add: they write to the same outputs.",
    "nearly orthogonal": "Add them, and measure the sum: nothing in the weights speaks against it.",
}
"""By verdict, weightiest first, as `interference` orders them."""


def check_page(check: Mapping[str, Any], made: Made) -> Page:
    """Give the page of what `check --json` holds."""
    short = short_names([adapter["name"] for adapter in check["adapters"]])
    names = list(short.values())
    sections = (
        verdict_of_check(check, short),
        pairs_section(check),
        made_section(made, PAIR_TERMS),
    )
    who = joined(names) if len(names) <= 4 else f"these {len(names)} adapters"
    return Page(f"Do {who} add up?", "What the weights alone tell", sections)


def verdict_of_check(check: Mapping[str, Any], short: Mapping[str, str]) -> Section:
    """Give the verdict in two sentences, and the figures it rests on."""
    pairs: Sequence[Mapping[str, Any]] = check["pairs"]
    groups: dict[str, list[str]] = {}
    for pair in pairs:
        label = f"{short[pair['a']]} + {short[pair['b']]}"
        groups.setdefault(str(pair["verdict"]), []).append(label)
    ordered = [verdict for verdict in WHAT_TO_DO if verdict in groups]
    says = _in_one_sentence(ordered, groups, len(pairs))
    values = {
        "sentences": [(says, WHAT_TO_DO[ordered[0]])],
        "remark": "Whether a sum answers well, only an evaluation tells. These figures are exact "
        "functions of the weights, not estimates: what stands beside them is what chance alone "
        "would give.",
        "cards": _cards(check, pairs),
        "lists": _adapters(check, short),
    }
    return Section("verdict", "Verdict", values)


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


def _adapters(check: Mapping[str, Any], short: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = [
        [
            short[a["name"]],
            f"{a['modules']:,}",
            f"{a['rank']:,}",
            f"{a['parameters']:,}",
            figure(a["norm"], ".4g"),
        ]
        for a in check["adapters"]
    ]
    columns = ["adapter", "modules", "rank", "parameters", "norm"]
    return [{"caption": "The adapters", "columns": columns, "rows": rows}]
