"""A study's verdict on a page, and the figures that it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from superpose.landscape.adding_up import share_text
from superpose.landscape.advice import MOSTLY_KEPT
from superpose.report.page import Section
from superpose.report.tables import plain_table
from superpose.shown.words import counted, figure, joined
from superpose.statistics.bootstrap import Interval
from superpose.studies.cells import UNION
from superpose.studies.summary import ForecastSummary, SeedAdvice, Summary
from superpose.studies.tables import LEAST_POINTS
from superpose.studies.verdict import BestSum, StudyVerdict, rests_on

__all__ = ["verdict_of_study"]


def verdict_of_study(summary: Summary, found: StudyVerdict) -> Section:
    """Give the verdict, its lights, and the figures it rests on. found: `measured_verdict`."""
    averaged = ", seeds averaged, those of changes over seeds too" if len(summary.seeds) > 1 else ""
    values = {
        "sentences": [
            (found.which, ""),
            found.advice,
            *([] if found.merged_by is None else [found.merged_by[0]]),
        ],
        "lights": plain_table(found.lights),
        "cards": _cards(summary, found),
        "remark": f"{found.lights.remark} 95 % intervals are over test questions{averaged}. "
        "A share of a large gain can hide a large change of perplexity: see the table “Every sum”.",
        "lists": [],
    }
    return Section("verdict", "Verdict", values)


def _cards(summary: Summary, found: StudyVerdict) -> list[dict[str, str]]:
    whole, naive = summary.whole, found.naive
    change = summary.sums_on(whole, UNION).dppl_merged
    value, _, interval = share_text(naive).partition(" (")
    cards = [
        {
            "name": "Gain kept by the naive sum of all, at least",
            "value": value,
            "beside": f"95 % interval {interval.rstrip(')')}" if interval else "no interval",
            "count": f"{naive.domain}; {rests_on(summary, (naive.domain,))}",
        },
        {
            "name": "Naive sum of all, against merged data",
            "value": f"{figure(change.mean, '+.1f')} %",
            "beside": _beside(change.ends, "+.1f", " %"),
            "count": rests_on(summary, whole),
        },
        *_paper_card(summary),
    ]
    if summary.forecast is not None:
        cards.append(_forecast_card(summary.forecast))
        if {each.verdict for each in summary.forecast.advice} != {found.best.verdict}:
            cards.append(_differing_card(summary, summary.forecast, found.best))
    return cards


def _differing_card(summary: Summary, forecast: ForecastSummary, best: BestSum) -> dict[str, str]:
    """Give a card that says both pieces of advice, a forecast's and the measured one."""
    measured = best.verdict.replace("these weights", "the weights above")
    if best.method == "sum" and best.share >= MOSTLY_KEPT:
        measured = "add them as they are"
    said = forecast.advice
    foreseen = [each.naive if each.verdict == "add them" else each.tuned for each in said]
    known = [share for share in foreseen if share is not None]
    shares = dict.fromkeys(map(_percent, (min(known), max(known)) if known else (None,)))
    on = best.kept.domain
    return {
        "name": "Gain kept by the sum of all: foreseen, measured",
        "value": f"{' to '.join(shares)}, {_percent(best.kept.kept)}",
        "beside": f"the forecast said: {_told(said)}; measured: {measured}",
        "count": f"{on}; {counted(forecast.calibration.rows_of[on], 'calibration row')}, "
        f"{rests_on(summary, (on,))}",
    }


def _told(said: tuple[SeedAdvice, ...]) -> str:
    """The advice of the forecasts, each with its seeds where there are several."""
    verdicts: dict[str, list[str]] = {}
    for each in said:
        verdicts.setdefault(each.verdict, []).append(str(each.seed))
    seeds = "" if len(said) == 1 else " (seed {})"
    return joined([f"{v}{seeds.format(joined(of))}" for v, of in verdicts.items()])


def _percent(share: float | None) -> str:
    return "all" if share is None or not math.isfinite(share) else f"{100 * share:.0f} %"


def _forecast_card(forecast: ForecastSummary) -> dict[str, str]:
    found, held = forecast.interference, forecast.inside.interference
    rows = counted(forecast.calibration.rows, "calibration row")
    card = {"name": "Interference, foreseen against measured"}
    if found.n < LEAST_POINTS:
        return card | {
            "value": f"{held.inside} of {held.of}",
            "beside": "inside their own 95 % interval",
            "count": f"{rows} of {counted(len(forecast.calibration.rows_of), 'domain')}",
        }
    return card | {
        "value": f"r {figure(found.pearson, '.2f')}",
        "beside": "no interval: points that share adapters are not independent",
        "count": f"{counted(found.n, 'point')}, {held.inside} inside their own 95 % "
        f"interval; {rows}",
    }


def _paper_card(summary: Summary) -> Iterator[dict[str, str]]:
    """Give the paper's correlation, of enough points: of a few chance alone makes large ones."""
    found = summary.correlation("rms_cosine", "pairs")
    if found.n >= LEAST_POINTS:
        yield {
            "name": "RMS cosine against dPPL",
            "value": f"r {figure(found.pearson, '.2f')}",
            "beside": _beside(found.pearson_interval, ".2f", ""),
            "count": f"{counted(found.n, 'point')} of {counted(found.combinations, 'pair')}",
        }


def _beside(ends: Interval | None, form: str, unit: str) -> str:
    if ends is None:
        return "no interval"
    return f"95 % interval {figure(ends[0], form)} to {figure(ends[1], form)}{unit}"
