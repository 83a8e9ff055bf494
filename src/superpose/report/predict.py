"""The page of `superpose predict`: what every sum will do, and a desk to try others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from superpose.landscape.adding_up import Share, share_text
from superpose.landscape.predicted import predicted_table
from superpose.landscape.predictions import Predictions, forecast_verdict
from superpose.landscape.right_table import right_table
from superpose.report.check import PAIR_TERMS
from superpose.report.desk import Desk, desk_section, presets
from superpose.report.disturbance import disturbance_section
from superpose.report.made import COVERS, Making, made_section
from superpose.report.page import Page, Section
from superpose.report.pairs import pairs_section
from superpose.report.tables import DataTable, ShadedChange, difference
from superpose.report.texts import public
from superpose.shown.words import counted, figure, joined

__all__ = ["FORECAST_TERMS", "predict_page", "verdict_of_forecast"]

FORECAST_TERMS = (
    *("perplexity", "task weights", "prediction", "interference", "disturbance", "share kept"),
    "calibrated region",
)

_RIGHT = ("accuracy", "low", "high", "positive", "measured", "test")
"""What a file of right answers has of each row."""

EVERY = 6
"""Adapters up to which each subset has a row; beyond, the base, singles, pairs and all."""


def predict_page(
    found: Mapping[str, Any],
    model: Mapping[str, Any],
    check: Mapping[str, Any] | None,
    adapters: Sequence[str],
    made: Making,
) -> Page:
    """Give the page of what `predict --json` holds.

    model: `Forecast.to_model`. check: `check --json` of the same adapters, None for a single one.
    adapters: the words behind `superpose add`, with its options.
    """
    names = list(found["adapters"])
    tuned = [
        ("tuned", found["tuned"]["+".join(names)]),
        ("best for the worst-off domain", found["advice"]["weights"]),
    ]
    desk = Desk("forecast", model, presets(names, tuned), adapters)
    sections = [verdict_of_forecast(found)]
    right = ("right answers",) if found.get("right_answers") else ()
    if check is not None:
        sections += [pairs_section(check), disturbance_section(found)]
    sections += [
        _table_section(found),
        *_right_sections(found.get("right_answers") or []),
        desk_section([desk]),
        made_section(made, (*FORECAST_TERMS, *right, *PAIR_TERMS)),
    ]
    who = joined(names) if len(names) <= 4 else f"these {len(names)} adapters"
    title = f"What will the sum of {who} do?"
    return Page(
        title, f"Predicted on {public(found['base'])}, from calibration rows", tuple(sections)
    )


def verdict_of_forecast(found: Mapping[str, Any]) -> Section:
    """Say in two sentences which sums add up and what to do, with shares, intervals and rows."""
    advice, known = found["advice"], Predictions.from_json(found)
    total = int(found["calibration"]["rows"])
    verdict = forecast_verdict(known, advice["verdict"], advice["weights"], total)
    rows = counted(total, "calibration row")
    cards = [
        _card("Kept by the naive sum", verdict.naive, rows),
        _card("Kept by the best weights", verdict.best, rows),
        _worst(known, rows),
    ]
    values = {
        "sentences": verdict.sentences,
        "cards": cards,
        "remark": "The share of what each domain's own adapter gains over the base, in nats an "
        "answer token, that is left under the sum. Predicted: the 95 % intervals cover "
        f"{COVERS}.",
        "lists": [],
    }
    return Section("verdict", "Verdict", values)


def _card(name: str, share: Share, rows: str) -> dict[str, str]:
    value, _, interval = share_text(share).partition(" (")
    beside = f"95 % interval {interval.rstrip(')')}" if interval else "no interval: too few rows"
    return {"name": f"{name}, at least", "value": value, "beside": beside,
            "count": f"{share.domain}; {rows}"}  # fmt: skip


def _worst(known: Predictions, rows: str) -> dict[str, str]:
    """The largest interference of the naive sum."""
    on = [known.at(known.naive, domain) for domain in known.domains]
    worst = max(on, key=lambda row: row.interference)
    low, high = worst.interference_low, worst.interference_high
    return {
        "name": "Largest interference of the naive sum",
        "value": f"{figure(worst.interference, '+.3f')} nats",
        "beside": f"95 % interval {figure(low, '+.3f')} to {figure(high, '+.3f')}",
        "count": f"{worst.domain}; {rows}",
    }


def _table_section(found: Mapping[str, Any]) -> Section:
    known = Predictions.from_json(found)
    groups = _groups(found, known)
    measured = {
        (tuple(m["weights"].values()), m["domain"]): m["nll"] for m in found.get("measured", ())
    }
    rows = [
        {**row, "weights": {name: round(w, 3) for name, w in row["weights"].items()}}
        for group in groups for row in group
    ]  # fmt: skip
    caption = (
        "Predicted perplexity of the answers, below it its 95 % interval"
        f"{', what was measured on test rows' if measured else ''} and the change"
    )
    table = replace(predicted_table(rows, known.domains, measured), title=caption)
    changes = {
        "each domain's own adapter": [[_change(r["interference"]) for r in g] for g in groups],
        "the base": [[_change(_above_base(row, known)) for row in group] for group in groups],
    }
    csv = _csv(groups, known, measured)
    drawn = DataTable("predicted", table, "predicted.csv", csv, changes)
    return drawn.section("Every sum", _left_out(found, groups))


def _right_sections(written: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Give the section of right answers, where questions have choices."""
    if not written:
        return []
    columns = [*written[0]["rows"][0]["weights"], "domain", *_RIGHT]
    rows = [
        [*row["weights"].values(), row["domain"], *(row[key] for key in _RIGHT)]
        for one in written
        for row in one["rows"]
    ]
    drawn = DataTable("right", right_table(written), "right-answers.csv", (columns, rows))
    data = {"tables": {drawn.key: drawn.data()}}
    return [Section("right", "Right answers", {"table": drawn}, data)]


def _above_base(row: Mapping[str, Any], known: Predictions) -> float:
    return float(row["predicted_nll"]) - known.at(known.base, row["domain"]).predicted_nll


def _groups(found: Mapping[str, Any], known: Predictions) -> list[Sequence[Mapping[str, Any]]]:
    """Give the rows of `found` that are shown, those of one weighting together; best first."""
    width, count = len(known.domains), len(known.adapters)
    rows = [*found.get("best", ()), *found["rows"]]
    groups: list[Sequence[Mapping[str, Any]]] = [
        rows[start : start + width] for start in range(0, len(rows), width)
    ]
    if count <= EVERY:
        return groups

    def shown(group: Sequence[Mapping[str, Any]]) -> bool:
        weights = list(group[0]["weights"].values())
        return not {0.0, 1.0} >= set(weights) or sum(weights) in (0, 1, 2, count)

    return [group for group in groups if shown(group)]


def _left_out(found: Mapping[str, Any], groups: Sequence[Any]) -> str:
    every = (len(found["rows"]) + len(found.get("best", ()))) // len(found["domains"])
    if every == len(groups):
        return ""
    return f"{len(groups)} of {every:,} weightings: --json has all, the desk predicts any."


def _key(row: Mapping[str, Any]) -> tuple[tuple[float, ...], str]:
    return tuple(row["weights"].values()), row["domain"]


def _change(nats: float) -> ShadedChange | None:
    return difference(100 * math.expm1(min(nats, 700.0)))


def _csv(
    groups: Sequence[Sequence[Mapping[str, Any]]],
    known: Predictions,
    measured: Mapping[Any, float],
) -> tuple[list[str], list[list[object]]]:
    figures = ["predicted_nll", "low", "high", "perplexity", "interference"]
    columns = [*known.adapters, "domain", *figures, "measured_nll"]
    rows = [
        [
            *row["weights"].values(),
            row["domain"],
            *(row[key] for key in figures),
            measured.get(_key(row)),
        ]
        for group in groups
        for row in group
    ]
    return columns, rows
