"""A study's verdict: which adapters add up, which do not, and what to do, by what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.adding_up import (
    KEPT,
    LITTLE,
    MOSTLY_KEPT,
    Names,
    sum_of,
    together,
    which_add_up,
)
from superpose.report.forecast import Share, least, share_text, weights_text
from superpose.report.page import Section
from superpose.report.table_of_study import figures_of, intervals_of
from superpose.report.texts import counted, figure

__all__ = ["verdict_of_study"]

UNION = "union"

CALLED = {"sum": "naive sum", "average": "average", "tuned": "tuned sum"}
"""A study's methods that are sums, in words."""


def verdict_of_study(summary: Mapping[str, Any]) -> Section:
    """Give the verdict in two sentences, and the figures it rests on."""
    names = [tuple(subset["domains"]) for subset in summary["subsets"]]
    whole = max(names, key=len)
    rows = sorted({summary["domains"][name]["test_rows"] for name in whole})
    each = " to ".join(f"{count:,}" for count in dict.fromkeys((rows[0], rows[-1])))
    points = f"{each} test questions a domain, {counted(len(summary['seeds']), 'seed')}"
    which = which_add_up({each: _kept(summary, each, "sum") for each in names}, points)
    values = {
        "sentences": [which, _what_to_do(summary, whole)],
        "cards": _cards(summary, whole, least(_kept(summary, whole, "sum"))),
        "remark": "A sum adds up where its naive form keeps at least 90 % of what each domain's "
        "own adapter gains over the base, in nats an answer token, measured on test questions. "
        f"95 % intervals are over test questions{_seeds_averaged(summary)}.",
        "lists": [],
    }
    return Section("verdict", "Verdict", values)


def _seeds_averaged(summary: Mapping[str, Any]) -> str:
    return ", seeds averaged" if len(summary["seeds"]) > 1 else ""


def _what_to_do(summary: Mapping[str, Any], whole: Names) -> tuple[str, str]:
    """Give the advice for the sum of all, and how what is advised stands to merged data."""
    values = figures_of(summary)[whole, UNION]
    method = min((m for m in CALLED if m in values), key=lambda m: math.fsum(values[m]))
    naive = least(_kept(summary, whole, "sum"))
    if naive.kept is None or naive.kept >= KEPT:
        method = "sum"
    kept = least(_kept(summary, whole, method))
    advice, what = _advice(method, kept, whole, summary)
    ratio = [a / b for a, b in zip(values[method], values["merged"], strict=True)]
    change = 100 * (math.fsum(ratio) / len(ratio) - 1)
    ends = intervals_of(summary)[whole, UNION].get((method, "merged"))
    between = f" ({figure(ends[0], '+.1f')} to {figure(ends[1], '+.1f')})" if ends else ""
    questions = f"{summary['domains'][kept.domain]['test_rows']:,} of them on {kept.domain}"
    return (
        f"{together(len(whole))}, {advice}:",
        f"{what} has perplexity {figure(change, '+.1f')} %{between} against merged data and "
        f"{sum_of(kept)} ({_sizes(summary, whole, questions)}).",
    )


def _advice(method: str, kept: Share, whole: Names, summary: Mapping[str, Any]) -> tuple[str, str]:
    """Give what to do, and what the figures after it are of.

    method: the naive sum where that is good enough, else the best of the sums.
    """
    share = 1.0 if kept.kept is None else kept.kept
    if share < MOSTLY_KEPT:
        instead = "train on merged data instead" if share >= LITTLE else "keep them apart"
        return instead, f"the best of the sums, the {CALLED[method]},"
    cost = "" if share >= KEPT else ", at a cost"
    if method == "sum":
        return f"add them as they are{cost}", "the naive sum"
    if method == "average":
        return f"add their average, each with weight 1/{len(whole)}{cost}", "it"
    what = "that sum" if len(summary["seeds"]) == 1 else "at each seed's own weights the sum"
    return f"add them with task weights {_tuned(summary, whole)}{cost}", what


def _tuned(summary: Mapping[str, Any], whole: Names) -> str:
    """Give the tuned weights; of several seeds, each tuned by itself, mean and range."""
    found = [each["weights"]["+".join(whole)] for each in summary["forecast"]["tuned"]]
    mean = {name: math.fsum(w[name] for w in found) / len(found) for name in whole}
    if len(found) == 1:
        return weights_text(mean)
    parts = [
        f"{figure(mean[name], '.2f')} ({figure(min(w[name] for w in found), '.2f')} to "
        f"{figure(max(w[name] for w in found), '.2f')}) {name}"
        for name in whole
    ]
    return f"{' + '.join(parts)}, the mean and range of {len(found)} seeds"


def _kept(summary: Mapping[str, Any], subset: Names, method: str) -> list[Share]:
    """Give what a sum keeps of the gain of each of its own domains."""
    rows = {
        row["domain"]: row["kept"] for row in summary["methods"]
        if tuple(row["subset"]) == subset and row["method"] == method
    }  # fmt: skip
    ends = {name: rows[name]["interval"] or (None, None) for name in subset}
    return [Share(name, rows[name]["share"], *ends[name]) for name in subset]


def _cards(summary: Mapping[str, Any], whole: Names, naive: Share) -> list[dict[str, str]]:
    union = next(row for s in summary["subsets"] if tuple(s["domains"]) == whole
                 for row in s["rows"] if row["domain"] == UNION)  # fmt: skip
    change = union["dppl_merged"]
    value, _, interval = share_text(naive).partition(" (")
    cards = [
        {
            "name": "Naive sum of all, against merged data",
            "value": f"{figure(change['mean'], '+.1f')} %",
            "beside": _beside(change["interval"], "+.1f", " %"),
            "count": _sizes(summary, whole),
        },
        {
            "name": "Gain kept by the naive sum of all, at least",
            "value": value,
            "beside": f"95 % interval {interval.rstrip(')')}" if interval else "no interval",
            "count": f"{naive.domain}; {_sizes(summary, (naive.domain,))}",
        },
        _paper_card(summary),
    ]
    if summary["forecast"] is not None:
        cards.append(_forecast_card(summary["forecast"]))
    return cards


def _forecast_card(forecast: Mapping[str, Any]) -> dict[str, str]:
    found, held = forecast["interference"], forecast["inside"]["interference"]
    return {
        "name": "Interference, foreseen against measured",
        "value": f"r {figure(found['pearson'], '.2f')}",
        "beside": "no interval: points that share adapters are not independent",
        "count": f"{counted(found['n'], 'point')}, {held['inside']} inside their own 95 % "
        f"interval; {counted(forecast['calibration']['rows'], 'calibration row')}",
    }


def _paper_card(summary: Mapping[str, Any]) -> dict[str, str]:
    found = next(
        c for c in summary["correlations"] if (c["figure"], c["among"]) == ("rms_cosine", "pairs")
    )
    few = f"chance reaches |r| {figure(found['chance'], '.2f')} as often as not"
    return {
        "name": "RMS cosine against dPPL",
        "value": f"r {figure(found['pearson'], '.2f')}",
        "beside": _beside(found["pearson_interval"], ".2f", "", few),
        "count": f"{counted(found['n'], 'point')} of {counted(found['combinations'], 'pair')}",
    }


def _beside(
    ends: Sequence[float | None] | None, form: str, unit: str, none: str = "no interval"
) -> str:
    if not ends or None in ends:
        return none
    low, high = (figure(end, form) for end in ends)
    return f"95 % interval {low} to {high}{unit}"


def _sizes(summary: Mapping[str, Any], domains: Sequence[str], among: str = "") -> str:
    questions = sum(summary["domains"][name]["test_rows"] for name in domains)
    listed = (
        counted(questions, "test question"),
        among,
        counted(len(summary["seeds"]), "seed"),
    )
    return ", ".join(filter(None, listed))
