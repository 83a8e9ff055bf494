"""A study's verdict: which adapters add up, which do not, and what to do, by what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.forecast import Share, share_text, weights_text
from superpose.report.page import Section
from superpose.report.table_of_study import figures_of, intervals_of
from superpose.report.texts import counted, figure, joined

__all__ = ["verdict_of_study"]

KEPT, MOSTLY_KEPT, LITTLE = 0.9, 0.75, 0.25
"""The borders of `landscape.advice`, here for what was measured."""

UNION = "union"


def verdict_of_study(summary: Mapping[str, Any]) -> Section:
    """Give the verdict in two sentences, and the figures it rests on."""
    least = {tuple(s["domains"]): _least(summary, tuple(s["domains"]), "sum")
             for s in summary["subsets"]}  # fmt: skip
    whole = max(least, key=len)
    values = {
        "sentences": [(_which(least), _what_to_do(summary, whole))],
        "cards": _cards(summary, whole, least[whole]),
        "remark": "A sum adds up where its naive form keeps at least 90 % of what each domain's "
        "own adapter gains over the base, in nats an answer token, measured on test questions. "
        "Intervals are over test questions.",
        "lists": [],
    }
    return Section("verdict", "Verdict", values)


def _which(least: Mapping[tuple[str, ...], Share]) -> str:
    good = [" + ".join(s) for s, share in least.items() if share.kept is None or share.kept >= KEPT]
    bad = [" + ".join(s) for s in least if " + ".join(s) not in good]
    if not bad:
        return "They add up, in every combination." if len(good) > 1 else f"{good[0]} add up."
    if not good:
        return f"{bad[0]} do not add up." if len(bad) == 1 else "No two of them add up as they are."
    few = good if len(good) <= len(bad) else bad
    if len(few) > 3:
        return f"{counted(len(good), 'sum')} of {len(least)} add up, the others do not."
    word = "add up" if few is good else "do not add up"
    return f"{joined(few)} {word}; the others {'do not' if few is good else 'do'}."


def _what_to_do(summary: Mapping[str, Any], whole: tuple[str, ...]) -> str:
    """Give the advice for the sum of all, and how the best weighting stands to merged data."""
    values = figures_of(summary)[whole, UNION]
    sums = [m for m in ("sum", "average", "tuned") if m in values]
    best = min(sums, key=lambda m: math.fsum(values[m]))
    kept = _least(summary, whole, best)
    naive = _least(summary, whole, "sum")
    ratio = [a / b for a, b in zip(values[best], values["merged"], strict=True)]
    change = 100 * (math.fsum(ratio) / len(ratio) - 1)
    name = "naive sum" if best == "sum" else "average" if best == "average" else "tuned sum"
    verdict = _advice(naive, kept, best, summary)
    ends = intervals_of(summary)[whole, UNION].get((best, "merged"))
    between = f" ({figure(ends[0], '+.1f')} to {figure(ends[1], '+.1f')})" if ends else ""
    return (
        f"For all {len(whole)} together, {verdict}: the best of the sums, the {name}, has "
        f"perplexity {figure(change, '+.1f')} %{between} against merged data and keeps "
        f"{share_text(kept)} of the gain on {kept.domain}, where it keeps least "
        f"({_sizes(summary, whole)})."
    )


def _advice(naive: Share, kept: Share, best: str, summary: Mapping[str, Any]) -> str:
    if naive.kept is None or naive.kept >= KEPT:
        return "add them"
    if kept.kept is None or kept.kept >= MOSTLY_KEPT:
        if best == "tuned" and summary["forecast"] is not None:
            weights = summary["forecast"]["tuned"][0]["weights"]
            whole = max(weights, key=lambda key: len(weights[key]))
            return f"add them with task weights {weights_text(weights[whole])}"
        return "add them with smaller task weights"
    return "train on merged data instead" if kept.kept >= LITTLE else "keep them apart"


def _least(summary: Mapping[str, Any], subset: tuple[str, ...], method: str) -> Share:
    """The domain that keeps least of its own adapter's gain."""
    found = figures_of(summary)
    intervals = intervals_of(summary)
    shares = []
    for domain in subset:
        nats = {m: _nats(found[subset, domain][m]) for m in ("base", "single", method)}
        gain = nats["base"] - nats["single"]
        if gain <= 0:
            shares.append(Share(domain, None, None, None))
            continue
        ends = intervals[subset, domain].get((method, "single"))
        low, high = (
            (1 - math.log1p(end / 100) / gain for end in ends[::-1]) if ends else (None,) * 2
        )
        kept = 1 - (nats[method] - nats["single"]) / gain
        shares.append(Share(domain, kept, low, high))
    known = [share for share in shares if share.kept is not None]
    return min(known or shares, key=lambda share: share.kept or 0.0)


def _nats(perplexities: Sequence[float]) -> float:
    """Mean over seeds of the loss."""
    return math.fsum(map(math.log, perplexities)) / len(perplexities)


def _cards(
    summary: Mapping[str, Any], whole: tuple[str, ...], least: Share
) -> list[dict[str, str]]:
    union = next(row for s in summary["subsets"] if tuple(s["domains"]) == whole
                 for row in s["rows"] if row["domain"] == UNION)  # fmt: skip
    change = union["dppl_merged"]
    value, _, interval = share_text(least).partition(" (")
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
            "count": f"{least.domain}; {_sizes(summary, (least.domain,))}",
        },
        _paper_card(summary),
    ]
    if summary["forecast"] is not None:
        found = summary["forecast"]["interference"]
        held = summary["forecast"]["inside"]["interference"]
        cards.append(
            {
                "name": "Interference, foreseen against measured",
                "value": f"r {figure(found['pearson'], '.2f')}",
                "beside": f"{held['inside']} of {held['of']} inside the 95 % interval",
                "count": f"{counted(found['n'], 'point')}; "
                f"{counted(summary['forecast']['calibration']['rows'], 'calibration row')}",
            }
        )
    return cards


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


def _sizes(summary: Mapping[str, Any], domains: Sequence[str]) -> str:
    questions = sum(summary["domains"][name]["test_rows"] for name in domains)
    return f"{counted(questions, 'test question')}, {counted(len(summary['seeds']), 'seed')}"
