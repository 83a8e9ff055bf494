"""A study's verdict: which adapters add up, which do not, and what to do, by what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.landscape.advice import KEPT, LITTLE, MOSTLY_KEPT
from superpose.report.adding_up import Names, sum_of, together, which_add_up
from superpose.report.forecast import Share, least, share_text, weights_text
from superpose.report.page import Section
from superpose.report.table_of_study import figures_of, intervals_of
from superpose.report.texts import counted, figure, joined

__all__ = ["advised_method", "measured_advice", "verdict_of_study"]

UNION = "union"

TRAIN = "train on merged data instead"

CALLED = {"sum": "naive sum", "average": "average", "tuned": "tuned sum"}
"""A study's methods that are sums, in words."""


def verdict_of_study(summary: Mapping[str, Any]) -> Section:
    """Give the verdict in two sentences, and the figures it rests on."""
    names = [tuple(subset["domains"]) for subset in summary["subsets"]]
    whole = _whole(summary)
    rows = sorted({summary["domains"][name]["test_rows"] for name in whole})
    each = " to ".join(f"{count:,}" for count in dict.fromkeys((rows[0], rows[-1])))
    points = f"{each} test questions a domain, {counted(len(summary['seeds']), 'seed')}"
    which = which_add_up({each: _kept(summary, each, "sum") for each in names}, points)
    values = {
        "sentences": [which, measured_advice(summary)],
        "cards": _cards(summary, whole, least(_kept(summary, whole, "sum"))),
        "remark": "A sum adds up where its naive form keeps at least 90 % of what each domain's "
        "own adapter gains over the base, in nats an answer token, measured on test questions. "
        f"95 % intervals are over test questions{_seeds_averaged(summary)}. A share of a large "
        "gain can hide a large change of perplexity: see the table “Every sum”.",
        "lists": [],
    }
    return Section("verdict", "Verdict", values)


def _seeds_averaged(summary: Mapping[str, Any]) -> str:
    return ", seeds averaged" if len(summary["seeds"]) > 1 else ""


@dataclass(frozen=True)
class _Advised:
    """The sum of all that is advised, or the best of them where none is.

    kept: at least, by it. change: its perplexity in per cent against merged data. ends: of the 95 %
    interval of that, where there is one.
    """

    method: str
    kept: Share
    change: float
    ends: Sequence[float] | None

    @property
    def share(self) -> float:
        """The share as a number: all of it where there is no gain."""
        return 1.0 if self.kept.kept is None else self.kept.kept

    @property
    def behind(self) -> bool:
        """Whether merged data is better by more than chance over test questions."""
        return self.ends is not None and self.ends[0] > 0

    @property
    def ahead(self) -> bool:
        """Whether merged data is worse by more than chance over test questions."""
        return self.ends is not None and self.ends[1] < 0

    @property
    def verdict(self) -> str:
        """The same in the words of a forecast's advice."""
        if self.share >= MOSTLY_KEPT:
            add = self.method == "sum" and self.share >= KEPT
            return "add them" if add else "add them with these weights"
        merge = self.share >= LITTLE and not self.ahead
        return TRAIN if merge else "keep apart"


def measured_advice(summary: Mapping[str, Any]) -> tuple[str, str]:
    """Give what to do with the sum of all by what was measured, up to a colon, and why."""
    whole = _whole(summary)
    found = _advised(summary, whole)
    advice, what = _advice(found, whole, summary)
    if found.behind and advice != TRAIN:
        advice += "; one adapter trained on all data is better"
    ends = found.ends
    between = f" ({figure(ends[0], '+.1f')} to {figure(ends[1], '+.1f')} %)" if ends else ""
    questions = f"{summary['domains'][found.kept.domain]['test_rows']:,} of them on "
    questions += found.kept.domain
    return (
        f"{together(len(whole))}, {advice}:",
        f"{what} has perplexity {figure(found.change, '+.1f')} %{between} against merged data and "
        f"{sum_of(found.kept)} ({_sizes(summary, whole, questions)}).",
    )


def advised_method(summary: Mapping[str, Any]) -> str:
    """Give which of CALLED the verdict is about."""
    return _advised(summary, _whole(summary)).method


def _whole(summary: Mapping[str, Any]) -> Names:
    return max((tuple(subset["domains"]) for subset in summary["subsets"]), key=len)


def _advised(summary: Mapping[str, Any], whole: Names) -> _Advised:
    """Choose the naive sum where that is good enough, else the best of the sums."""
    values = figures_of(summary)[whole, UNION]
    method = min((m for m in CALLED if m in values), key=lambda m: math.fsum(values[m]))
    naive = least(_kept(summary, whole, "sum"))
    if naive.kept is None or naive.kept >= KEPT:
        method = "sum"
    ratio = [a / b for a, b in zip(values[method], values["merged"], strict=True)]
    change = 100 * (math.fsum(ratio) / len(ratio) - 1)
    ends = intervals_of(summary)[whole, UNION].get((method, "merged"))
    return _Advised(method, least(_kept(summary, whole, method)), change, ends)


def _advice(found: _Advised, whole: Names, summary: Mapping[str, Any]) -> tuple[str, str]:
    """Give what to do, and what the figures after it are of."""
    method = found.method
    if found.share < MOSTLY_KEPT:
        instead = TRAIN if found.verdict == TRAIN else "keep them apart"
        return instead, f"the best of the sums, the {CALLED[method]},"
    cost = "" if found.share >= KEPT else ", at a cost"
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
        cards += _differing_card(summary, whole)
    return cards


def _differing_card(summary: Mapping[str, Any], whole: Names) -> list[dict[str, str]]:
    """Give a card that says both pieces of advice, where a forecast's is another than measured."""
    found, said = _advised(summary, whole), summary["forecast"]["advice"]
    if {each["verdict"] for each in said} == {found.verdict}:
        return []
    verdicts: dict[str, list[str]] = {}
    for each in said:
        verdicts.setdefault(each["verdict"], []).append(str(each["seed"]))
    seeds = "" if len(said) == 1 else " (seed {})"
    told = joined([f"{v}{seeds.format(joined(of))}" for v, of in verdicts.items()])
    foreseen = [each["naive" if each["verdict"] == "add them" else "tuned"] for each in said]
    measured = found.verdict.replace("these weights", "the weights above")
    if found.method == "sum" and found.share >= MOSTLY_KEPT:
        measured = "add them as they are"
    known = [share for share in foreseen if share is not None]
    shares = dict.fromkeys(map(_percent, (min(known), max(known)) if known else (None,)))
    return [
        {
            "name": "Gain kept by the sum of all: foreseen, measured",
            "value": f"{' to '.join(shares)}, {_percent(found.kept.kept)}",
            "beside": f"the forecast said: {told}; measured: {measured}",
            "count": f"{found.kept.domain}; "
            f"{counted(summary['forecast']['calibration']['rows'], 'calibration row')}, "
            f"{_sizes(summary, (found.kept.domain,))}",
        }
    ]


def _percent(share: float | None) -> str:
    return "all" if share is None or not math.isfinite(share) else f"{100 * share:.0f} %"


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
