"""What a study shows side by side: predicted and measured, and one method and another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from superpose.measure.evaluate import Score
from superpose.statistics import correlate, ratio_interval, share_interval
from superpose.statistics.bootstrap import Interval
from superpose.statistics.paired import PairedRows, paired_difference
from superpose.studies.cells import UNION, StudyCell
from superpose.studies.folder import StudyFolder
from superpose.studies.forecasting import forecast_file
from superpose.studies.former_names import forecast_today
from superpose.studies.scores import StudyScores, change_percent
from superpose.studies.summary import (
    Accuracy,
    AgainstSum,
    ForecastCost,
    ForecastRow,
    ForecastSummary,
    Inside,
    InsideOf,
    Kept,
    MethodRow,
    SeedAdvice,
    Spread,
    SpreadChange,
    TunedWeights,
)

__all__ = ["against_sum_summary", "forecast_summary", "methods_summary", "ratio_change", "spread"]


def methods_summary(scores: StudyScores) -> tuple[MethodRow, ...]:
    """Every subset, domain and method: perplexity, its change in per cent, and the share kept."""
    rows: list[MethodRow] = []
    for names in scores.subsets:
        for domain in (*names, UNION):
            rows += _methods_on(scores, names, domain)
    return tuple(rows)


def _methods_on(scores: StudyScores, names: tuple[str, ...], domain: str) -> Iterator[MethodRow]:
    against = {m: scores.each(m, names, domain) for m in ("merged", "single")}
    base = scores.each("base", names, domain)
    for method in scores.methods:
        found = scores.each(method, names, domain)
        yield MethodRow(
            subset=names,
            domain=domain,
            method=method,
            perplexity=spread([score.perplexity for score in found]),
            dppl_merged=ratio_change(found, against["merged"], same=method == "merged"),
            dppl_single=ratio_change(found, against["single"]),
            kept=_kept(found, base, against["single"]),
        )


def _kept(found: Sequence[Score], base: Sequence[Score], own: Sequence[Score]) -> Kept:
    """The share of the own adapter's gain that is left: seeds are averaged row by row."""
    share = share_interval(_mean_rows(found), _mean_rows(base), _mean_rows(own), seed=0)
    return Kept(share.share and round(share.share, 6), _rounded(share.interval, 6))


def against_sum_summary(scores: StudyScores) -> tuple[AgainstSum, ...]:
    """Hold every method against the naive sum of its subset, on each domain and their union.

    Questions and seeds are both draws (`statistics.paired`).
    """
    return tuple(
        _apart(scores, names, domain, method)
        for names in scores.subsets
        for domain in (*names, UNION)
        for method in scores.methods
        if method != "sum"
    )


def _apart(scores: StudyScores, names: tuple[str, ...], domain: str, method: str) -> AgainstSum:
    found, naive = (scores.each(each, names, domain) for each in (method, "sum"))
    nll, reference = ([score.row_nll for score in each] for each in (found, naive))
    apart = paired_difference([PairedRows(nll, reference, found[0].row_tokens)])
    error = round(apart.error, 6) if math.isfinite(apart.error) else None
    return AgainstSum(names, domain, method, round(apart.difference, 6), error, apart.tie)


def forecast_summary(scores: StudyScores, folder: StudyFolder) -> ForecastSummary | None:
    """What the seeds' forecasts said beside what was measured; None without forecasts.

    Its rows are every seed, subset of several and domain of it. The forecasts are made from
    calibration rows, the measured values from the test rows.
    """
    if "tuned" not in scores.methods:
        return None
    found = {seed: forecast_today(folder.read(forecast_file(seed))) for seed in scores.seeds}
    rows = tuple(
        _row(scores, seed, names, domain, predicted)
        for seed, content in found.items()
        for names in scores.subsets
        for domain, predicted in _of_subset(content, names).items()
    )
    costs = [content["calibration"] for content in found.values()]
    seconds = round(sum(cost["seconds"] for cost in costs), 2)
    return ForecastSummary(
        predictions=rows,
        inside=_inside(rows),
        interference=_agreement(rows),
        advice=tuple(_advice(seed, content["advice"]) for seed, content in found.items()),
        tuned=tuple(TunedWeights(seed, _tuned(scores, seed)) for seed in found),
        calibration=ForecastCost(**(costs[0] | {"seconds": seconds})),
    )


def _tuned(scores: StudyScores, seed: int) -> dict[str, Mapping[str, float]]:
    """The weights that were evaluated: a forecast made anew, for more domains, has others."""
    cells = (StudyCell("tuned", names, seed) for names in scores.subsets)
    return {"+".join(cell.domains): scores.weights[cell] for cell in cells}


def _advice(seed: int, said: Mapping[str, Any]) -> SeedAdvice:
    return SeedAdvice(seed=seed, **{key: said[key] for key in said if key != "claim"})


def _of_subset(content: Mapping[str, Any], names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """A forecast's rows for the naive sum of `names`, by domain of theirs."""
    wanted = {name: float(name in names) for name in content["adapters"]}
    held = {row["domain"]: row for row in content["predictions"] if row["weights"] == wanted}
    return {name: held[name] for name in names}


def _row(
    scores: StudyScores,
    seed: int,
    names: tuple[str, ...],
    domain: str,
    predicted: Mapping[str, Any],
) -> ForecastRow:
    measured = scores.find("sum", names, seed, domain)
    own = scores.find("single", names, seed, domain)
    assert measured is not None
    assert own is not None
    return ForecastRow(
        seed=seed,
        subset=names,
        domain=domain,
        predicted_nll=round(predicted["nll"], 6),
        predicted_nll_low=round(predicted["nll_low"], 6),
        predicted_nll_high=round(predicted["nll_high"], 6),
        measured_nll=round(measured.nll, 6),
        predicted_interference=round(predicted["interference"], 6),
        predicted_interference_low=round(predicted["interference_low"], 6),
        predicted_interference_high=round(predicted["interference_high"], 6),
        measured_interference=round(measured.nll - own.nll, 6),
    )


def _inside(rows: Sequence[ForecastRow]) -> InsideOf:
    nll = sum(r.predicted_nll_low <= r.measured_nll <= r.predicted_nll_high for r in rows)
    interference = sum(
        r.predicted_interference_low <= r.measured_interference <= r.predicted_interference_high
        for r in rows
    )
    return InsideOf(Inside(nll, len(rows)), Inside(interference, len(rows)))


def _agreement(rows: Sequence[ForecastRow]) -> Accuracy:
    predicted = np.array([row.predicted_interference for row in rows])
    measured = np.array([row.measured_interference for row in rows])
    found = correlate(predicted, measured, resamples=100)
    return Accuracy(
        n=found.n,
        pearson=found.pearson,
        spearman=found.spearman,
        mean_absolute_error=round(float(np.abs(predicted - measured).mean()), 6),
        mean_measured=round(float(measured.mean()), 6),
    )


def spread(values: Sequence[float]) -> Spread:
    """Give mean and deviation over seeds, and the values."""
    deviation = round(float(np.std(values, ddof=1)), 6) if len(values) > 1 else None
    return Spread(round(float(np.mean(values)), 6), deviation, tuple(round(v, 6) for v in values))


def ratio_change(
    found: Sequence[Score], others: Sequence[Score], *, same: bool = False
) -> SpreadChange:
    """Give the change of perplexity in per cent. same: both are one method, so no interval."""
    told = spread([change_percent(a, b) for a, b in zip(found, others, strict=True)])
    rows = (_mean_rows(found), _mean_rows(others), found[0].row_tokens)
    interval = None if same else _rounded(ratio_interval(*rows, seed=0).interval, 4)
    return SpreadChange(told.mean, told.spread, told.values, interval)


def _rounded(interval: Interval | None, digits: int) -> Interval | None:
    return interval and (round(interval[0], digits), round(interval[1], digits))


def _mean_rows(scores: Sequence[Score]) -> list[float]:
    rows: list[float] = np.mean([score.row_nll for score in scores], axis=0).tolist()
    return rows
