"""Pairs of adapters: heat maps against floor and chance, and a map of modules for a chosen pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.files import short_names
from superpose.interference.figures import COSINE, PAIR_COLUMNS
from superpose.report.heat import Map, matrix, modules_grid, scale_json, union_of_modules
from superpose.report.page import Section
from superpose.report.tables import DataTable
from superpose.shown import Column, Scale, Table
from superpose.shown.words import figure

__all__ = ["pairs_section"]

OVERLAP = Scale("overlap, in multiples of chance", "×", 1.0, 30.0, ".1f", (1, 3, 10, 30))

Pair = Mapping[str, Any]


def pairs_section(check: Mapping[str, Any], remark: str = "", *, folded: bool = False) -> Section:
    """Give the section for what `check --json` holds.

    remark: whose pairs these are. folded: whether the maps open only when they are asked for.
    """
    pairs: Sequence[Pair] = check["pairs"]
    short = short_names([adapter["name"] for adapter in check["adapters"]])
    labels = [f"{short[pair['a']]} + {short[pair['b']]}" for pair in pairs]
    table = _table(pairs, labels)
    chosen = max(range(len(pairs)), key=lambda at: _size(_cosine(pairs[at])))
    values = {
        "maps": _maps(pairs, short),
        "labels": labels,
        "chosen": chosen,
        "table": table,
        "open": len(pairs) <= 6 and not folded,
        "folded": folded,
        "closed": False,
        "remark": remark,
        "made": [
            f"{short[adapter['name']]} is {adapter['made']}."
            for adapter in check["adapters"]
            if adapter.get("made")
        ],
        "figures": [("cosine", "Cosine"), ("outputs", "Outputs"), ("inputs", "Inputs")],
        "many": any(pair["modules"] for pair in pairs),
    }
    data = {
        "heat": _modules(pairs, labels) | {"chosen": chosen},
        "tables": {table.key: table.data()},
    }
    return Section("pairs", "Pairs", values, data)


def _maps(pairs: Sequence[Pair], short: Mapping[str, str]) -> list[Map]:
    names = list(short.values())
    at = {frozenset((p["a"], p["b"])): k for k, p in enumerate(pairs)}
    given = list(short)

    def of(key: str) -> Any:
        def value(row: int, column: int) -> tuple[float | None, str, int] | None:
            if row == column:
                return None
            k = at[frozenset((given[row], given[column]))]
            say = f"{names[row]} and {names[column]}: {_SAYS[key](pairs[k])}"
            return _FIGURES[key](pairs[k]), say, k

        return value

    both = (names, names)
    return [
        matrix("cosine", "Cosine of the deltas, in multiples of its floor", "adapter", both, COSINE,
               of("cosine")),
        matrix("outputs", "Overlap of what they write to, in multiples of chance", "adapter", both,
               OVERLAP, of("outputs")),
    ]  # fmt: skip


def _cosine(pair: Pair) -> float | None:
    return _ratio(pair["cosine"], pair["cosine_floor"])


def _outputs(pair: Pair) -> float | None:
    return _ratio(pair["output_overlap"], pair["output_chance"])


_FIGURES = {"cosine": _cosine, "outputs": _outputs}
_SAYS = {
    "cosine": lambda p: (
        f"cosine {figure(p['cosine'], '+.4f')}, {figure(_cosine(p), '+.1f')} times its floor "
        f"{figure(p['cosine_floor'], '.5f')}; RMS cosine {figure(p['rms_cosine'], '.4f')}, "
        f"floor {figure(p['rms_cosine_floor'], '.4f')}"
    ),
    "outputs": lambda p: (
        f"output overlap {figure(p['output_overlap'], '.3f')}, {figure(_outputs(p), '.1f')} times "
        f"chance {figure(p['output_chance'], '.3f')}"
    ),
}


def _table(pairs: Sequence[Pair], labels: Sequence[str]) -> DataTable:
    named = dict(zip(map(id, pairs), labels, strict=True))
    columns = (Column("pair", lambda pair: named[id(pair)]), Column("verdict", "verdict"))
    caption = "Every pair; small below each figure, what unrelated adapters would have"
    keys = [key for key in pairs[0] if key not in ("modules", "reason", "next", "standing_out")]
    csv = (keys, [[pair[key] for key in keys] for pair in pairs])
    table = Table.of(caption, (*columns, *PAIR_COLUMNS), pairs)
    return DataTable("pairs", table, "pairs.csv", csv)


def _modules(pairs: Sequence[Pair], labels: Sequence[str]) -> dict[str, Any]:
    """Give the map of modules of every pair: values by figure, pair and module."""
    held = [{module["name"]: module for module in pair["modules"]} for pair in pairs]
    names = union_of_modules(held)
    figures = {
        "cosine": ("cosine", "cosine_floor"),
        "outputs": ("output_overlap", "output_chance"),
        "inputs": ("input_overlap", "input_chance"),
    }
    scales = {"cosine": COSINE, "outputs": OVERLAP, "inputs": OVERLAP}
    return {
        "grid": modules_grid(names),
        "labels": list(labels),
        "texts": [
            {"strong": f"{p['verdict'][0].upper()}{p['verdict'][1:]}.", "text": _said(p)}
            for p in pairs
        ],
        "scales": {key: scale_json(scale) for key, scale in scales.items()},
        "values": {
            key: [
                [_rounded(_ratio_of(modules.get(name), *both)) for name in names]
                for modules in held
            ]
            for key, both in figures.items()
        },
    }


def _said(pair: Pair) -> str:
    """The reason and the next step; a study's check of an earlier version has no next step."""
    step = pair.get("next")
    return f"{pair['reason']} Next: {step}" if step else str(pair["reason"])


def _ratio_of(module: Mapping[str, Any] | None, value: str, chance: str) -> float | None:
    return None if module is None else _ratio(module[value], module[chance])


def _ratio(value: float | None, chance: float | None) -> float | None:
    return None if value is None or not chance else value / chance


def _rounded(value: float | None) -> float | None:
    """Give three digits, which is more than the map shows."""
    return None if value is None else float(f"{value:.3g}")


def _size(value: float | None) -> float:
    return -1.0 if value is None or math.isnan(value) else abs(value)
