"""The page of `superpose study` and `superpose demo`: everything that was measured and foreseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from superpose.landscape.predictions import Predictions
from superpose.report.accuracy import accuracy_section, matches_section
from superpose.report.against_sum import against_sum_section
from superpose.report.cautions import other_remarks
from superpose.report.check import PAIR_TERMS
from superpose.report.desk import Desk, desk_section, gains, presets
from superpose.report.disturbance import disturbance_section
from superpose.report.made import Making, made_section
from superpose.report.page import Page, Section
from superpose.report.pairs import pairs_section
from superpose.report.predict import FORECAST_TERMS
from superpose.report.relation import relation_section
from superpose.report.table_of_study import table_section
from superpose.report.texts import outcome, public
from superpose.report.verdict_of_study import verdict_of_study
from superpose.studies.cells import TITLES
from superpose.studies.summary import Summary
from superpose.studies.verdict import measured_verdict

__all__ = ["study_page"]

TERMS = ("merged data", "dPPL", "share kept", "correlation")


def study_page(
    summary: Summary,
    checks: Mapping[int, Mapping[str, Any]],
    forecasts: Mapping[int, Mapping[str, Any]],
    adapters: Mapping[int, Sequence[str]],
    made: Making,
) -> Page:
    """Give the page of a study's summary.

    checks: seed -> `check --json` of its adapters. forecasts: seed -> what was foreseen, with the
    small model; none where the study has no forecast. adapters: seed -> where they lie.
    """
    seeds, verdict = summary.seeds, measured_verdict(summary)
    first = seeds[0]
    whose = f"Here the adapters of seed {first}." if len(seeds) > 1 else ""
    of_forecast = FORECAST_TERMS if forecasts else ("perplexity", "task weights")
    remarks = other_remarks(summary.remarks, summary.correlations)
    sections = (
        verdict_of_study(summary, verdict),
        *_desks(forecasts, adapters, TITLES[verdict.best.method]),
        *([disturbance_section(forecasts[first], whose)] if forecasts else ()),
        table_section(summary),
        *([against_sum_section(summary)] if summary.against_sum else ()),
        *([accuracy_section(summary)] if summary.accuracies else ()),
        *([matches_section(summary)] if summary.matches else ()),
        relation_section(summary),
        pairs_section(checks[first], whose, folded=True),
        made_section(made, (*TERMS, *of_forecast, *PAIR_TERMS), remarks),
    )
    advice = verdict.best.verdict if verdict.merged_by is None else ""
    title = outcome(list(summary.whole), verdict.reached, advice)
    return Page(title, f"The study “{summary.name}” on {public(summary.base)}", tuple(sections))


def _desks(
    forecasts: Mapping[int, Mapping[str, Any]],
    adapters: Mapping[int, Sequence[str]],
    start: str,
) -> list[Section]:
    """The desk with a model for each seed; none for forecasts that were kept without one.

    start: the preset that it opens at.
    """
    held = {seed: found for seed, found in forecasts.items() if "model" in found}
    desks = [
        Desk(
            f"seed {seed}",
            found["model"],
            presets(
                found["adapters"],
                [
                    ("tuned", found["tuned"]["+".join(found["domains"])]),
                    ("best for the worst-off domain", found["advice"]["weights"]),
                ],
            ),
            adapters[seed],
            gains(Predictions.from_json(found)),
        )
        for seed, found in held.items()
    ]
    return [desk_section(desks, start)] if desks else []
