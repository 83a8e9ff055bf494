"""A study's verdict: which adapters add up, which do not, and what to do, by what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from superpose.errors import BadInput
from superpose.landscape.adding_up import (
    KEPT,
    Names,
    Share,
    for_all,
    least,
    lights,
    sum_of,
    which_add_up,
)
from superpose.landscape.advice import LITTLE, MOSTLY_KEPT
from superpose.shown import Line, Part, Shown, Table
from superpose.shown.words import counted, figure, weights_text
from superpose.statistics.bootstrap import Interval
from superpose.studies.cells import MERGED_BY, SUMS, TITLES, UNION
from superpose.studies.summary import Summary

__all__ = ["BestSum", "StudyVerdict", "measured_verdict", "rests_on"]

TRAIN = "train on merged data instead"


@dataclass(frozen=True)
class BestSum:
    """The sum of all that is advised, or the best of them where none is.

    kept: at least, by it. change: its perplexity in per cent against merged data. ends: of the 95 %
    interval of that, where there is one.
    """

    method: str
    kept: Share
    change: float
    ends: Interval | None

    @property
    def called(self) -> str:
        """The sum in words."""
        return TITLES[self.method] + ("" if self.method == "average" else " sum")

    @property
    def share(self) -> float:
        """The share as a number: all of it where there is no gain."""
        return 1.0 if self.kept.kept is None else self.kept.kept

    @property
    def behind(self) -> bool:
        """Whether merged data is better by more than chance over test questions and seeds."""
        return self.ends is not None and self.ends[0] > 0

    @property
    def ahead(self) -> bool:
        """Whether merged data is worse by more than chance over test questions and seeds."""
        return self.ends is not None and self.ends[1] < 0

    @property
    def verdict(self) -> str:
        """The same in the words of a forecast's advice."""
        if self.share >= MOSTLY_KEPT:
            add = self.method == "sum" and self.share >= KEPT
            return "add them" if add else "add them with these weights"
        merge = self.share >= LITTLE and not self.ahead
        return TRAIN if merge else "keep apart"


@dataclass(frozen=True)
class StudyVerdict(Shown):
    """What a study says of the sums, by one measure: the share of each adapter's gain they keep.

    which: which of them add up, in a line. lights: one for each. advice: what to do with the sum of
    all, up to a colon, and the figures behind it. best: what that rests on. naive: what the naive
    sum of all keeps, at least. merged_by: the merge method that does better than every sum, as a
    sentence with its name first, and what it keeps; None where no method does.
    """

    which: str
    lights: Table
    advice: tuple[str, str]
    best: BestSum
    naive: Share
    merged_by: tuple[tuple[str, str], Share] | None = None

    @property
    def reached(self) -> Share:
        """What one adapter keeps of each gain, by the best that was measured; merged data apart."""
        return self.best.kept if self.merged_by is None else self.merged_by[1]

    def shown(self) -> tuple[Part, ...]:
        """Give the line, the lights, and the advice, saying that all was measured."""
        advice, figures = self.advice
        return (
            Line("", f"Measured: {self.which}"),
            self.lights,
            Line(figures, f"Measured, {advice[0].lower()}{advice[1:]}"),
            *([] if self.merged_by is None else [Line(self.merged_by[0][1], self.merged_by[0][0])]),
        )


def measured_verdict(summary: Summary) -> StudyVerdict:
    """Reach the verdict. Raises BadInput for a summary that is older than the share kept."""
    whole = summary.whole
    rows = sorted({summary.domains[name].test_rows for name in whole})
    each = " to ".join(f"{count:,}" for count in dict.fromkeys((rows[0], rows[-1])))
    points = f"{each} test questions a domain, {counted(len(summary.seeds), 'seed')}"
    kept = {subset.domains: _kept(summary, subset.domains, "sum") for subset in summary.subsets}
    naive = least(kept[whole])
    best = _best_sum(summary, naive)
    light = lights(kept, points, {name: summary.domains[name].test_rows for name in whole})
    return StudyVerdict(
        which_add_up(kept), light, _advice(summary, best), best, naive, _merged_by(summary, best)
    )


def rests_on(summary: Summary, domains: Sequence[str], among: str = "") -> str:
    """Say on how many test questions and seeds a figure rests. among: what stands between."""
    questions = sum(summary.domains[name].test_rows for name in domains)
    seeds = counted(len(summary.seeds), "seed")
    return ", ".join(filter(None, (counted(questions, "test question"), among, seeds)))


def _best_sum(summary: Summary, naive: Share) -> BestSum:
    """Choose the naive sum where that is good enough, else the best of the sums."""
    whole = summary.whole
    on_all = summary.methods_on(whole, UNION)
    method = min(
        (m for m in SUMS if m in on_all), key=lambda m: math.fsum(on_all[m].perplexity.values)
    )
    if naive.kept is None or naive.kept >= KEPT:
        method = "sum"
    values, merged = (on_all[m].perplexity.values for m in (method, "merged"))
    ratio = [a / b for a, b in zip(values, merged, strict=True)]
    return BestSum(
        method,
        least(_kept(summary, whole, method)),
        100 * (math.fsum(ratio) / len(ratio) - 1),
        on_all[method].dppl_merged.ends,
    )


def _advice(summary: Summary, best: BestSum) -> tuple[str, str]:
    """Say what to do with the sum of all, and why."""
    whole = summary.whole
    advice, what = _what_to_do(summary, best)
    if best.behind and advice != TRAIN:
        advice += "; one adapter trained on all data is better"
    ends = best.ends
    between = f" ({figure(ends[0], '+.1f')} to {figure(ends[1], '+.1f')} %)" if ends else ""
    least_on = best.kept.domain
    questions = f"{summary.domains[least_on].test_rows:,} of them on {least_on}"
    return (
        f"{for_all(len(whole))}, {advice}:",
        f"{what} has perplexity {figure(best.change, '+.1f')} %{between} against merged data and "
        f"{sum_of(best.kept)} ({rests_on(summary, whole, questions)}).",
    )


def _merged_by(summary: Summary, best: BestSum) -> tuple[tuple[str, str], Share] | None:
    """Give the merge method that has the least perplexity, where no sum of all has as little."""
    whole = summary.whole
    on_all = summary.methods_on(whole, UNION)
    total = {name: math.fsum(row.perplexity.values) for name, row in on_all.items()}
    others = [name for name in MERGED_BY if name in total]
    method = min(others, key=total.__getitem__, default=best.method)
    if total[method] >= min(total[name] for name in SUMS if name in total):
        return None
    kept, change = least(_kept(summary, whole, method)), on_all[method].dppl_merged
    ends = change.ends
    between = f" ({figure(ends[0], '+.1f')} to {figure(ends[1], '+.1f')} %)" if ends else ""
    questions = f"{summary.domains[kept.domain].test_rows:,} of them on {kept.domain}"
    return (
        f"Better than every sum, {method}:",
        f"what it makes of {'them' if len(whole) < 3 else f'all {len(whole)}'} has perplexity "
        f"{figure(change.mean, '+.1f')} %{between} against merged data and {sum_of(kept)} "
        f"({rests_on(summary, whole, questions)}). `add --method {method}` writes it.",
    ), kept


def _what_to_do(summary: Summary, best: BestSum) -> tuple[str, str]:
    """Give what to do, and what the figures after it are of."""
    if best.share < MOSTLY_KEPT:
        instead = TRAIN if best.verdict == TRAIN else "keep them apart"
        return instead, f"the best of the sums, the {best.called},"
    cost = "" if best.share >= KEPT else ", at a cost"
    if best.method == "sum":
        return f"add them as they are{cost}", "the naive sum"
    if best.method == "average":
        return f"add their average, each with weight 1/{len(summary.whole)}{cost}", "it"
    what = "that sum" if len(summary.seeds) == 1 else "at each seed's own weights the sum"
    return f"add them with task weights {_tuned(summary)}{cost}", what


def _tuned(summary: Summary) -> str:
    """Give the tuned weights; of several seeds, each tuned by itself, mean and range."""
    assert summary.forecast is not None  # or there would be no tuned sum
    whole = summary.whole
    found = [each.weights["+".join(whole)] for each in summary.forecast.tuned]
    mean = {name: math.fsum(w[name] for w in found) / len(found) for name in whole}
    if len(found) == 1:
        return weights_text(mean)
    parts = [
        f"{figure(mean[name], '.2f')} ({figure(min(w[name] for w in found), '.2f')} to "
        f"{figure(max(w[name] for w in found), '.2f')}) {name}"
        for name in whole
    ]
    return f"{' + '.join(parts)}, the mean and range of {len(found)} seeds"


def _kept(summary: Summary, subset: Names, method: str) -> list[Share]:
    """Give what a sum keeps of the gain of each of its own domains."""
    shares = []
    for name in subset:
        row = summary.methods_on(subset, name).get(method)
        if row is None or row.kept is None:
            raise BadInput(
                f"the summary of {summary.name} is older than the share that a sum keeps",
                hint="Run the study again in its folder: what is finished is kept, and the "
                "summary is made anew.",
            )
        shares.append(Share(name, row.kept.share, *(row.kept.interval or (None, None))))
    return shares
