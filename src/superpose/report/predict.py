"""The page of `superpose predict`: what every sum will do, and a desk to try others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from superpose.landscape.adding_up import CANNOT_TELL, Share, least, share_text
from superpose.landscape.merged_sum import MergedSum, merged_sentence, merged_table
from superpose.landscape.predicted import how, predicted_table, title_of
from superpose.landscape.predictions import Predictions, forecast_verdict
from superpose.landscape.right_table import right_table
from superpose.report.check import PAIR_TERMS
from superpose.report.desk import Desk, desk_section, gains, presets
from superpose.report.disturbance import disturbance_section
from superpose.report.made import COVERS, Making, made_section
from superpose.report.page import Page, Section
from superpose.report.pairs import pairs_section
from superpose.report.tables import (
    GAIN,
    DataTable,
    ShadedChange,
    difference,
    gain_kept,
    plain_table,
)
from superpose.report.texts import names_or_number, outcome, public
from superpose.shown.words import counted, figure, weights_text

__all__ = ["FORECAST_TERMS", "predict_page", "verdict_of_forecast"]

FORECAST_TERMS = (
    *("perplexity", "task weights", "prediction", "interference", "disturbance", "share kept"),
    "calibrated region",
)

_RIGHT = ("accuracy", "accuracy_low", "accuracy_high", "positive", "measured", "test")
"""What a file of right answers has of each row."""

SHARE = (
    "The share of what each domain's own adapter gains over the base, in nats an answer token, "
    "that is left under the sum."
)

EVERY = 6
"""Adapters up to which each subset has a row; beyond, the base, singles, pairs and all."""


def predict_page(
    found: Mapping[str, Any],
    model: Mapping[str, Any] | None,
    check: Mapping[str, Any] | None,
    adapters: Sequence[str],
    made: Making,
) -> Page:
    """Give the page of what `predict --json` holds.

    model: `Forecast.to_model`; None where nothing is foretold, and so no desk. check: `check
    --json` of the same adapters, None for a single one. adapters: the words behind `superpose
    add`, with its options.
    """
    known = Predictions.from_json(found)
    desks = [] if model is None else [_desk(found, known, model, adapters)]
    right = ("right answers",) if found.get("right_answers") else ()
    sections = [
        verdict_of_forecast(found, known),
        *([desk_section(desks)] if desks else []),
        *([disturbance_section(found)] if check is not None and found["disturbances"] else []),
        _table_section(found, known),
        *_right_sections(found.get("right_answers") or []),
        *([] if check is None else [pairs_section(check, folded=True)]),
        made_section(made, (*FORECAST_TERMS, *right, *PAIR_TERMS)),
    ]
    title = _title(found, known)
    how_known = "Measured" if model is None else "Measured and foretold"
    return Page(
        title, f"{how_known} on {public(found['base'])}, with calibration rows", tuple(sections)
    )


def _title(found: Mapping[str, Any], known: Predictions) -> str:
    """The outcome of the sum of all at the weights that are advised, where it is known."""
    advice, names = found["advice"], list(found["adapters"])
    if advice is None or advice["verdict"] == CANNOT_TELL or len(names) < 2:
        return f"What the sum of {names_or_number(names)} does"
    weights = advice["weights"]
    as_they_are = weights is None or advice["verdict"] == "add them"
    kept = known.least(known.naive if as_they_are else [weights[name] for name in names])
    return outcome(names, kept, advice["verdict"])


def _desk(
    found: Mapping[str, Any],
    known: Predictions,
    model: Mapping[str, Any],
    adapters: Sequence[str],
) -> Desk:
    """Give the desk, with the weights that were found or asked about among its presets."""
    names, advice = list(found["adapters"]), found["advice"]
    tuned = [("tuned", found["tuned"]["+".join(names)])]
    if advice is not None:
        tuned.append(("best for the worst-off domain", advice["weights"]))
    asked = {tuple(row["weights"].values()): row["weights"] for row in found.get("asked", ())}
    tuned += [(weights_text(weights), weights) for weights in asked.values()]
    return Desk("forecast", model, presets(names, tuned), adapters, gains(known))


def verdict_of_forecast(found: Mapping[str, Any], known: Predictions) -> Section:
    """Say which sums add up and what to do, with lights, shares, intervals and rows.

    found: what `predict --json` holds. known: the predictions in it.
    """
    advice = found["advice"] or {}
    total = int(found["calibration"]["rows"])
    asked = list(dict.fromkeys(tuple(r["weights"].values()) for r in found.get("asked", ())))
    said, weights = advice.get("verdict", ""), advice.get("weights")
    verdict = forecast_verdict(known, said, weights, total, asked)
    cards = [
        _card(name, share, known)
        for name, share in (
            ("Kept by the naive sum", verdict.naive), ("Kept by the best weights", verdict.best)
        )
        if share is not None
    ]  # fmt: skip
    if verdict.naive is not None:
        cards.append(_worst(known))
    merged = [MergedSum.from_json(each) for each in found.get("methods") or ()]
    cards += [_card(f"Kept by {m.method}", least(m.shares(known)), known) for m in merged]
    values = {
        "sentences": (*verdict.sentences, *_of_methods(known, merged, weights, total)),
        "cards": cards,
        "lights": verdict.lights and plain_table(verdict.lights),
        "remark": f"{verdict.lights.remark if verdict.lights else SHARE} The 95 % intervals of "
        "what was measured cover having these calibration rows and not others; of what is foretold "
        f"{COVERS}.",
        "lists": [plain_table(merged_table(known, each, weights)) for each in merged],
    }
    return Section("verdict", "Verdict", values)


def _of_methods(
    known: Predictions,
    merged: Sequence[MergedSum],
    weights: Mapping[str, float] | None,
    rows: int,
) -> Iterator[tuple[str, str]]:
    """Say what other merge methods make of the sum of all, and how that is written."""
    for each in merged:
        yield merged_sentence(known, each, weights, rows)
        yield "It is written by:", f"`{each.command}`"


def _rows(known: Predictions, domain: str) -> str:
    """Say of which domain a figure is, and of how many of its calibration rows."""
    rows = known.calibration.get(domain)
    return domain if rows is None else f"{domain}; {counted(rows, 'calibration row')}"


def _card(name: str, share: Share, known: Predictions) -> dict[str, str]:
    value, _, interval = share_text(share).partition(" (")
    beside = f"95 % interval {interval.rstrip(')')}" if interval else "no interval: too few rows"
    return {"name": f"{name}, at least", "value": value, "beside": beside,
            "count": _rows(known, share.domain)}  # fmt: skip


def _worst(known: Predictions) -> dict[str, str]:
    """The largest interference of the naive sum."""
    on = [known.at(known.naive, domain) for domain in known.domains]
    worst = max(on, key=lambda row: row.interference)
    low, high = worst.interference_low, worst.interference_high
    return {
        "name": "Largest interference of the naive sum",
        "value": f"{figure(worst.interference, '+.3f')} nats",
        "beside": f"95 % interval {figure(low, '+.3f')} to {figure(high, '+.3f')}",
        "count": _rows(known, worst.domain),
    }


def _table_section(found: Mapping[str, Any], known: Predictions) -> Section:
    groups = _groups(found, known)
    measured = {
        (tuple(m["weights"].values()), m["domain"]): m["nll"] for m in found.get("measured", ())
    }
    rows = [
        {**row, "weights": {name: round(w, 3) for name, w in row["weights"].items()}}
        for group in groups for row in group if row is not None
    ]  # fmt: skip
    caption = (
        f"{title_of(rows)}, below it its 95 % interval"
        f"{', what was measured on test rows' if measured else ''} and the change"
    )
    table = replace(predicted_table(rows, known.domains, measured), title=caption)
    changes = {
        GAIN: [[None if r is None else _kept(r, known) for r in g] for g in groups],
        "each domain's own adapter": [
            [None if r is None else _change(r["interference"], r) for r in g] for g in groups
        ],
        "the base": [
            [None if r is None else _change(_above_base(r, known), r) for r in g] for g in groups
        ],
    }
    csv = _csv(groups, known, measured)
    drawn = DataTable("predicted", table, "predicted.csv", csv, changes)
    return drawn.section("Every sum", _left_out(found, groups))


def _right_sections(written: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Give the section of right answers, where questions have choices."""
    if not written:
        return []
    columns = [*written[0]["accuracies"][0]["weights"], "domain", *_RIGHT]
    rows = [
        [*row["weights"].values(), row["domain"], *(row[key] for key in _RIGHT)]
        for one in written
        for row in one["accuracies"]
    ]
    drawn = DataTable("right", right_table(written), "right-answers.csv", (columns, rows))
    data = {"tables": {drawn.key: drawn.data()}}
    foretold = any(not row["measured"] for one in written for row in one["accuracies"])
    return [Section("right", "Right answers", {"table": drawn, "foretold": foretold}, data)]


def _above_base(row: Mapping[str, Any], known: Predictions) -> float:
    return float(row["nll"]) - known.at(known.base, row["domain"]).nll


Group: TypeAlias = Sequence[Mapping[str, Any] | None]
"""A weighting's row of each domain, None where it is not known."""


def _groups(found: Mapping[str, Any], known: Predictions) -> list[Group]:
    """Give the rows of `found` that are shown, those of one weighting together; best first."""
    count = len(known.adapters)
    held: dict[tuple[float, ...], dict[str, Mapping[str, Any]]] = {}
    for row in (*found.get("best", ()), *found.get("asked", ()), *found["predictions"]):
        held.setdefault(tuple(row["weights"].values()), {})[row["domain"]] = row
    return [
        [of.get(domain) for domain in known.domains]
        for weights, of in held.items()
        if count <= EVERY or not {0.0, 1.0} >= set(weights) or sum(weights) in (0, 1, 2, count)
    ]


def _left_out(found: Mapping[str, Any], groups: Sequence[Any]) -> str:
    rows = (*found["predictions"], *found.get("best", ()), *found.get("asked", ()))
    every = len({tuple(row["weights"].values()) for row in rows})
    if every == len(groups):
        return ""
    return f"{len(groups)} of {every:,} weightings: --json has all, the desk predicts any."


def _key(row: Mapping[str, Any]) -> tuple[tuple[float, ...], str]:
    return tuple(row["weights"].values()), row["domain"]


def _kept(row: Mapping[str, Any], known: Predictions) -> ShadedChange | None:
    """Give the share of the gain that a sum keeps on a domain of its own; of singles none."""
    weights, domain = tuple(row["weights"].values()), row["domain"]
    own = weights[list(known.domains).index(domain)]
    if not own or sum(map(bool, weights)) < 2:
        return None
    return gain_kept(known.share(weights, domain))


def _change(nats: float, row: Mapping[str, Any]) -> ShadedChange | None:
    percent = 100 * math.expm1(min(nats, 700.0))
    return difference(percent, coloured=any(row["weights"].values()))


def _csv(
    groups: Sequence[Group],
    known: Predictions,
    measured: Mapping[Any, float],
) -> tuple[list[str], list[list[object]]]:
    figures = ["how", "nll", "nll_low", "nll_high", "perplexity", "interference"]
    columns = [*known.adapters, "domain", *figures, "measured_nll"]
    rows = [
        [
            *row["weights"].values(),
            row["domain"],
            *(how(row) if key == "how" else row[key] for key in figures),
            measured.get(_key(row)),
        ]
        for group in groups
        for row in group
        if row is not None
    ]
    return columns, rows
