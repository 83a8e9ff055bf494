"""The page of `superpose tune`: the best task weights, what they bring, and a desk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.report.desk import Desk, desk_section, presets
from superpose.report.made import Making, made_section
from superpose.report.page import Page, Section
from superpose.report.tables import DataTable, ShadedChange, difference
from superpose.report.texts import perplexity_figure, public
from superpose.shown import Column, Table
from superpose.shown.words import counted, figure, weights_text
from superpose.studies.cells import TITLES

__all__ = ["tune_page"]

METHODS = {"base": TITLES["base"], "own": TITLES["single"], "naive": TITLES["sum"],
           "average": TITLES["average"], "tuned": TITLES["tuned"]}  # fmt: skip
REFERENCES = {"own": TITLES["single"], "naive": "the naive sum", "base": "the base"}
FEW = 16
"""Rows of a domain below which what tuning brings may be chance alone."""

TERMS = ("perplexity", "task weights", "objective", "prediction", "interference",
         "calibrated region")  # fmt: skip


def tune_page(
    found: Mapping[str, Any],
    base: Mapping[str, float],
    model: Mapping[str, Any],
    adapters: Sequence[str],
    made: Making,
) -> Page:
    """Give the page of what `tune --json` holds.

    base: the base's loss on each domain's calibration rows, nats an answer token. model:
    `Forecast.to_model`. adapters: the words behind `superpose add`.
    """
    names = list(found["weights"])
    losses = _losses(found, base)
    base_name = public(found["base"])
    sections = (
        _verdict(found, losses, {name: much for name, much, _ in made.data}),
        desk_section([_desk(found, losses, model, adapters)], start="tuned"),
        _table(losses, base_name),
        made_section(made, TERMS),
    )
    few = weights_text(found["weights"]) if len(names) <= 4 else ""
    title = f"Add {few}" if few else f"The best task weights of {counted(len(names), 'adapter')}"
    return Page(title, f"Tuned on {base_name}, on calibration rows", sections)


def _desk(
    found: Mapping[str, Any],
    losses: Mapping[str, Mapping[str, float]],
    model: Mapping[str, Any],
    adapters: Sequence[str],
) -> Desk:
    """Give the desk, whose domains' gains are those that were measured."""
    offered = presets(list(found["weights"]), [("tuned", found["weights"])])
    gained = [known["base"] - known["own"] for known in losses.values()]
    held = [gain if gain > 0 else None for gain in gained]
    return Desk("forecast", model, offered, adapters, held)


def _losses(found: Mapping[str, Any], base: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Measured nats an answer token: domain -> method -> loss."""
    names, domains = list(found["weights"]), list(base)
    best = tuple(found["weights"].values())
    losses: dict[str, dict[str, float]] = {d: {"base": base[d]} for d in domains}
    for row in found["measured"]:
        weights, domain = tuple(row["weights"].values()), row["domain"]
        own = tuple(float(k == domains.index(domain)) for k in range(len(names)))
        for method, held in (("own", own), ("tuned", best)):
            if weights == held:
                losses[domain][method] = row["nll"]
        if row["method"] in ("naive", "average"):
            losses[domain][row["method"]] = row["nll"]
    return losses


def _verdict(
    found: Mapping[str, Any],
    losses: Mapping[str, Mapping[str, float]],
    rows: Mapping[str, str],
) -> Section:
    """Give the verdict. rows: of each domain, in words."""
    regret = {m: [v[m] - v["own"] for v in losses.values()] for m in ("naive", "average", "tuned")}
    mean = {m: math.fsum(values) / len(values) for m, values in regret.items()}
    predicted: Sequence[Mapping[str, Any]] = found["predictions"]
    lost = dict(zip(losses, regret["tuned"], strict=True))
    worst = max(predicted, key=lambda row: lost[row["domain"]])
    sentence = (
        f"Against each domain's own adapter they cost {figure(mean['tuned'], '+.3f')} nats an "
        f"answer token on the mean of {counted(len(losses), 'domain')}, where the naive sum costs "
        f"{figure(mean['naive'], '+.3f')} and the average {figure(mean['average'], '+.3f')}; most "
        f"is lost on {worst['domain']}, {figure(lost[worst['domain']], '+.3f')} (predicted with a "
        f"95 % interval of {figure(worst['interference_low'], '+.3f')} to "
        f"{figure(worst['interference_high'], '+.3f')}; "
        f"{rows.get(worst['domain'], 'calibration rows')})."
    )
    sentences = [(f"Add {weights_text(found['weights'])}.", sentence)]
    if found["finer"] is not None:
        sentences.append(_finer(found["finer"]))
    cards = [
        {
            "name": f"Perplexity on {row['domain']}",
            "value": perplexity_figure(row["nll"]),
            "beside": f"95 % interval {perplexity_figure(row['nll_low'])} to "
            f"{perplexity_figure(row['nll_high'])}",
            "count": f"predicted; measured {perplexity_figure(losses[row['domain']]['tuned'])} on "
            f"{rows.get(row['domain'], 'the calibration rows')}",
        }
        for row in predicted[:4]
    ]
    values = {
        "sentences": sentences,
        "cards": cards,
        "remark": f"Tuned and measured on the same calibration rows: {_elsewhere(rows)}.",
        "lists": [],
    }
    return Section("verdict", "Verdict", values)


def _elsewhere(rows: Mapping[str, str]) -> str:
    """Say what other rows would show. rows: of each domain, `16 calibration rows`."""
    counts = [int(told.split()[0].replace(",", "")) for told in rows.values()]
    if counts and min(counts) < FEW:
        return (
            f"test rows would show less, and with so few (fewer than {FEW} of a domain) perhaps "
            "nothing"
        )
    return "test rows would show a little less"


def _finer(found: Mapping[str, Any]) -> tuple[str, str]:
    """Say what one weight for each adapter and layer, kind or module brings, and how to add so."""
    start, end = (figure(found[key], "+.3f") for key in ("start", "end"))
    brings = (
        f"the objective falls from {start} to {end} nats on the calibration rows held out"
        if found["end"] < found["start"]
        else f"on the calibration rows held out nothing was better than the weights above ({start})"
    )
    return (
        f"Or add with one weight for each adapter and {found['by']}:",
        f"{brings} ({counted(found['groups'], 'weight')} an adapter). The desk below has one an "
        "adapter; `superpose add … --weights FILE` takes these, FILE being what `tune --json` "
        "printed.",
    )


def _table(losses: Mapping[str, Mapping[str, float]], base: str) -> Section:
    methods = (Column(title, key, perplexity_figure) for key, title in METHODS.items())
    records = [{"domain": domain, **values} for domain, values in losses.items()]
    caption = f"Perplexity of the answers on the calibration rows, base {base}"
    changes = {
        name: [[_change(values, m, reference) for m in METHODS] for values in losses.values()]
        for reference, name in REFERENCES.items()
    }
    csv = [[domain, *(values[m] for m in METHODS)] for domain, values in losses.items()]
    shown = Table.of(caption, (Column("domain", "domain"), *methods), records)
    columns = ["domain", *(f"{m}_nll" for m in METHODS)]
    table = DataTable("methods", shown, "tuned.csv", (columns, csv), changes)
    return table.section("What the weights bring")


def _change(values: Mapping[str, float], method: str, reference: str) -> ShadedChange | None:
    if method == reference:
        return None
    nats = min(values[method] - values[reference], 700.0)
    return difference(100 * math.expm1(nats), coloured=method != "base")
