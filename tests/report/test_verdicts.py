"""Verdicts: two sentences that agree with themselves, with intervals and the number of points."""

from __future__ import annotations

import copy
import io
import itertools
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from superpose.landscape.predictions import Predictions
from superpose.report.page import Page, Section, render
from superpose.report.predict import _table_section as predict_section, verdict_of_forecast
from superpose.report.table_of_study import table_section
from superpose.report.tables import GAIN
from superpose.report.verdict_of_study import verdict_of_study
from superpose.shown import Line, Table
from superpose.studies.summary import Summary
from superpose.studies.verdict import measured_verdict

ROOT = Path(__file__).resolve().parents[2]
WHOLE = ("math", "medicine", "finance")

Shares = dict[str, float]


def study(seeds: int = 1, **methods: tuple[float, float]) -> dict[str, Any]:
    """The committed demo's summary with other figures for the sum of all.

    Without regmean, which does better than every sum. methods: perplexity on all questions, and the
    share that is kept on math, the least.
    """
    path = ROOT / "docs" / "results" / "demo" / "summary.json"
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    summary["methods"] = [row for row in summary["methods"] if row["method"] != "regmean"]
    summary["seeds"] = list(range(seeds))
    for subset in summary["subsets"]:
        for row in subset["measured"]:
            for method in ("base", "single", "sum", "merged"):
                row[method]["values"] *= seeds
    for row in summary["methods"]:
        row["perplexity"]["values"] *= seeds
        row["kept"] = {"share": 0.99, "interval": [0.98, 1.0]}
        if tuple(row["subset"]) == WHOLE and row["method"] in methods:
            perplexity, kept = methods[row["method"]]
            if row["domain"] == "union":
                row["perplexity"]["values"] = [perplexity] * seeds
            if row["domain"] == "math":
                row["kept"] = {"share": kept, "interval": [kept - 0.01, kept + 0.01]}
    tuned = summary["forecast"]["tuned"] = [
        copy.deepcopy(summary["forecast"]["tuned"][0]) | {"seed": seed} for seed in range(seeds)
    ]
    for seed, each in enumerate(tuned):
        each["weights"]["+".join(WHOLE)] = dict.fromkeys(WHOLE, 0.5 + 0.1 * seed)
    return summary


def verdict(summary: dict[str, Any]) -> dict[str, Any]:
    """What the page's verdict shows of a summary."""
    return dict(section(summary).values)


def section(content: dict[str, Any]) -> Section:
    """The page's section for a summary."""
    summary = Summary.from_json(content)
    return verdict_of_study(summary, measured_verdict(summary))


@pytest.mark.parametrize(
    ("methods", "advice", "figures"),
    [
        ({"sum": (2.0, 0.95), "average": (3.0, 0.9), "tuned": (1.9, 0.97)},
         "add them as they are:", "the naive sum has"),
        ({"sum": (2.0, 0.8), "average": (3.0, 0.7), "tuned": (2.1, 0.8)},
         "add them as they are, at a cost:", "the naive sum has"),
        ({"sum": (3.0, 0.7), "average": (2.0, 0.8), "tuned": (2.1, 0.8)},
         "add their average, each with weight 1/3, at a cost:", "it has"),
        ({"sum": (3.0, 0.7), "average": (2.1, 0.8), "tuned": (2.0, 0.91)},
         "add them with task weights 0.5 math + 0.5 medicine + 0.5 finance:", "that sum has"),
        ({"sum": (2.0, 0.7), "average": (2.2, 0.5), "tuned": (2.1, 0.5)},
         "train on merged data instead:", "the best of the sums, the naive sum, has"),
        ({"sum": (2.0, 0.1), "average": (2.2, 0.1), "tuned": (1.9, 0.1)},
         "keep them apart:", "the best of the sums, the tuned sum, has"),
    ],
)  # fmt: skip
def test_a_studys_figures_are_those_of_the_sum_that_is_advised(
    methods: dict[str, tuple[float, float]], advice: str, figures: str
) -> None:
    what, then = verdict(study(**methods))["sentences"][1]
    better = "" if advice.startswith("train") else "; one adapter trained on all data is better"
    assert what == f"For all 3 together, {advice.rstrip(':')}{better}:"
    assert then.startswith(f"{figures} perplexity ")
    shown = 0.95 if "as they are:" in advice else min(methods.values())[1]
    assert f"keeps {100 * shown:.0f} % ({100 * shown - 1:.0f} to {100 * shown + 1:.0f} %)" in then
    assert then.endswith("(72 test questions, 24 of them on math, 1 seed).")


def merged_by_regmean(perplexity: float, kept: float) -> dict[str, Any]:
    """A summary in which regmean was measured too: its perplexity, and what it keeps on math."""
    summary = study(sum=(3.0, 0.7), average=(2.1, 0.8), tuned=(2.0, 0.85))
    held = [row for row in summary["methods"] if row["method"] == "tuned"]
    for row in copy.deepcopy(held):
        row["method"] = "regmean"
        if tuple(row["subset"]) == WHOLE and row["domain"] == "union":
            row["perplexity"]["values"] = [perplexity]
        if tuple(row["subset"]) == WHOLE and row["domain"] == "math":
            row["kept"] = {"share": kept, "interval": [kept - 0.01, kept + 0.01]}
        summary["methods"].append(row)
    return summary


def test_a_merge_method_that_does_better_than_every_sum_is_told_with_what_it_keeps() -> None:
    """By terminal and page, and the page's title is what it reaches."""
    content = merged_by_regmean(1.6, 0.98)
    found = measured_verdict(Summary.from_json(content))
    assert found.reached.kept == 0.98
    told = found.shown()[-1]
    assert isinstance(told, Line)
    assert told.strong == "Better than every sum, regmean:"
    assert "keeps at least 98 %" in told.text or "keeps 98 %" in told.text
    assert "`add --method regmean` writes it." in told.text
    assert verdict(content)["sentences"][-1] == (told.strong, told.text)
    for others in (merged_by_regmean(2.0, 0.98), study(sum=(2.0, 0.95))):
        without = measured_verdict(Summary.from_json(others))
        assert without.merged_by is None
        assert without.reached == without.best.kept


def against_merged(summary: dict[str, Any], ends: list[float] | None) -> dict[str, Any]:
    """The same with another interval of every sum of all against merged data."""
    for row in summary["methods"]:
        row["dppl_merged"]["interval"] = ends
    for subset in summary["subsets"]:
        for row in subset["measured"]:
            row["dppl_merged"]["interval"] = ends
    return summary


@pytest.mark.parametrize("ends", [[-1.0, 9.0], [-9.0, -1.0], None])
def test_merged_data_is_named_only_where_it_is_better_by_more_than_chance(
    ends: list[float] | None,
) -> None:
    found = against_merged(study(sum=(2.0, 0.95)), ends)
    what, then = verdict(found)["sentences"][1]
    assert what == "For all 3 together, add them as they are:"
    assert "against merged data" in then
    lost = study(sum=(2.0, 0.5), average=(3.0, 0.5), tuned=(2.1, 0.5))
    what, _ = verdict(against_merged(lost, ends))["sentences"][1]
    apart = ends is not None and ends[1] < 0  # merged data is worse still
    advice = "keep them apart" if apart else "train on merged data instead"
    assert what == f"For all 3 together, {advice}:"


def test_a_card_says_where_the_forecast_advised_something_else_than_was_measured() -> None:
    found = study(2, sum=(3.0, 0.7), average=(2.1, 0.8), tuned=(2.0, 0.77))
    (first,) = found["forecast"]["advice"]
    advice = first | {"verdict": "train on merged data instead", "naive": 0.4, "tuned": 0.72}
    found["forecast"]["advice"] = [advice | {"seed": 0}, advice | {"seed": 1, "tuned": 0.74}]
    card = verdict(found)["cards"][-1]
    assert card["value"] == "72 % to 74 %, 77 %"
    assert card["beside"] == (
        "the forecast said: train on merged data instead (seed 0 and 1); measured: add them with "
        "the weights above"
    )
    for each in found["forecast"]["advice"]:
        each["verdict"] = "add them with these weights"
    names = [card["name"] for card in verdict(found)["cards"]]
    assert not any("foreseen, measured" in name for name in names)


def test_the_rule_of_the_verdict_stands_before_its_cards_and_says_what_it_hides() -> None:
    text = render(Page("t", "s", (section(study(sum=(2.0, 0.95))),)))
    rule = text.index("at least 90\u00a0% of what each domain")
    assert text.index('class="verdict"') < rule < text.index('class="cards"')
    assert "can hide a large change of perplexity: see the table “Every sum”" in text


@pytest.mark.parametrize("seeds", [1, 2])
def test_terminal_notebook_and_page_speak_one_measured_verdict(seeds: int) -> None:
    from rich.console import Console

    from superpose.cli.show import show
    from superpose.studies.tables import study_parts

    content = study(seeds, sum=(3.0, 0.7), average=(2.1, 0.8), tuned=(2.0, 0.91))
    summary = Summary.from_json(content)
    found = measured_verdict(summary)
    heard = io.StringIO()
    show(study_parts(summary), Console(file=heard, width=160, soft_wrap=True))
    terminal = heard.getvalue()
    notebook = unescape(re.sub("<[^>]+>", "", found._repr_html_()))
    page = unescape(re.sub("<[^>]+>", "", render(Page("t", "s", (section(content),)))))
    assert terminal.startswith(f"Measured: {found.which}\n"), "the verdict comes first"
    said = " ".join(found.advice)
    assert said.replace(" %", "\u00a0%") in page
    assert found.which in page
    for shown in (terminal, notebook):
        assert found.which in shown
        assert said[1:] in shown
    for row in found.lights.rows:
        kept = f"{row[2].text} ({row[2].beside})"
        assert row[4].text == str(summary.domains[row[3].text].test_rows)
        for shown in (terminal, notebook, page):
            assert all(text in shown for text in (row[0].text, row[1].text, kept))


def test_the_table_under_the_verdict_has_the_share_that_the_lights_go_by() -> None:
    from superpose.studies.tables import study_parts

    path = ROOT / "docs" / "results" / "demo" / "summary.json"
    summary = Summary.from_json(json.loads(path.read_text(encoding="utf-8")))
    light, table = [part for part in study_parts(summary) if isinstance(part, Table)][:2]
    assert table.columns[-1].title == "% gain kept"
    kept: dict[str, dict[str, str]] = {}
    subset = ""
    for row in table.rows:
        subset = row[0].text or subset
        kept.setdefault(subset, {})[row[1].text] = row[-1].text
    for name, _, share, domain, _ in light.rows:
        assert kept[name.text][domain.text] == share.text.removesuffix(" %")
        own = [int(kept[name.text][each]) for each in name.text.split(" + ")]
        assert min(own) == int(share.text.removesuffix(" %"))


def test_tuned_weights_of_several_seeds_are_their_mean_and_range() -> None:
    """They were tuned apart, so one seed's weights are none of the figures' own."""
    found = study(3, sum=(3.0, 0.7), average=(2.1, 0.8), tuned=(2.0, 0.91))
    what, then = verdict(found)["sentences"][1]
    assert "0.60 (0.50 to 0.70) math + 0.60 (0.50 to 0.70) medicine" in what
    assert what.endswith("finance, the mean and range of 3 seeds; one adapter trained on all data "
                         "is better:")  # fmt: skip
    assert then.startswith("at each seed's own weights the sum has perplexity ")
    assert then.endswith(", 3 seeds).")


def test_a_card_has_no_count_where_an_interval_belongs() -> None:
    summary = study(sum=(2.0, 0.95))
    summary["forecast"]["interference"]["n"] = 10
    (card,) = [c for c in verdict(summary)["cards"] if c["name"].startswith("Interference")]
    assert card["value"].startswith("r 0.")
    assert card["beside"].startswith("no interval: ")
    assert "10 points, 7 inside their own 95 % interval" in card["count"]


def test_no_card_is_a_correlation_of_fewer_than_ten_points() -> None:
    cards = verdict(study(sum=(2.0, 0.95)))["cards"]
    assert not [card for card in cards if card["value"].startswith("r ")]
    (card,) = [c for c in cards if c["name"].startswith("Interference")]
    assert (card["value"], card["beside"]) == ("7 of 9", "inside their own 95 % interval")
    path = ROOT / "docs" / "results" / "smollm2" / "summary.json"
    recorded = verdict(json.loads(path.read_text(encoding="utf-8")))["cards"]
    many = [card for card in recorded if card["value"].startswith("r ")]
    assert many
    assert all(int(card["count"].split(" point")[0]) >= 10 for card in many)


def forecast(names: tuple[str, ...], pairs: dict[frozenset[str], float]) -> dict[str, Any]:
    """What `predict --json` says where two adapters cost each other's domains so many nats.

    Each gains 1 nat, and the costs add; every interval is 0.01 nats to both sides.
    """
    rows = []
    for weights in itertools.product((0.0, 1.0), repeat=len(names)):
        there = [name for name, weight in zip(names, weights, strict=True) if weight]
        for own in names:
            lost = 0.0 if own in there else 1.0
            lost += sum(pairs.get(frozenset((own, other)), 0.0) for other in there)
            rows.append(
                {"weights": dict(zip(names, weights, strict=True)), "domain": f"{own}.jsonl",
                 "nll": 1.0 + lost, "nll_low": lost, "nll_high": 2.0 + lost, "interference": lost,
                 "interference_low": lost - 0.01, "interference_high": lost + 0.01}
            )  # fmt: skip
    best = dict.fromkeys(names, 1.0)
    return {
        "adapters": list(names),
        "domains": [f"{name}.jsonl" for name in names],
        "predictions": rows,
        "advice": {"verdict": "keep apart", "weights": best},
        "calibration": {"rows": 48},
    }


def test_a_forecast_says_which_adapters_add_up() -> None:
    """Not only what the sum of all does: every subset was predicted."""
    found = forecast(("a", "b", "c"), {frozenset("ab"): 0.02, frozenset("ac"): 0.3})
    found["calibration"]["rows_of"] = {"a.jsonl": 8, "b.jsonl": 16, "c.jsonl": 24}
    values = verdict_of_forecast(found, Predictions.from_json(found)).values
    which, then = values["sentences"]
    assert which == ("a + b and b + c add up, the others do not.", "")
    assert [[*row[:1], *row[2:]] for row in values["lights"]["rows"]] == [
        ["b + c", "100 % (99 to 101 %)", "b.jsonl", "16"],
        ["a + b", "98 % (97 to 99 %)", "a.jsonl", "8"],
        ["a + c", "70 % (69 to 71 %)", "a.jsonl", "8"],
        ["a + b + c", "68 % (67 to 69 %)", "a.jsonl", "8"],
    ]
    assert "(foretold from 48 calibration rows of 3 domains)" in values["remark"]
    assert [card["count"] for card in values["cards"]] == ["a.jsonl; 8 calibration rows"] * 3
    assert then[0] == "For all 3 together, keep them apart:"
    assert "the naive sum at least 68 % (67 to 69 %), least of a.jsonl's 1 nats (foret" in then[1]


def test_a_sum_is_judged_on_the_domains_of_its_own_adapters() -> None:
    sums = Predictions.from_json(forecast(("a", "b", "c"), {})).sums()
    assert [share.domain for share in sums["a", "c"]] == ["a.jsonl", "c.jsonl"]
    assert {len(shares) for shares in sums.values()} == {2, 3}
    assert len(sums) == 4


def test_of_one_adapter_no_sum_is_spoken_of() -> None:
    found = forecast(("a",), {})
    ((what, then),) = verdict_of_forecast(found, Predictions.from_json(found)).values["sentences"]
    assert what == "One adapter alone is disturbed by none:"
    assert "it keeps 100 % (99 to 101 %) of the gain on a.jsonl" in then


def test_the_pages_table_first_shows_the_share_that_the_lights_go_by() -> None:
    """Study and forecast alike: a sum that adds up is not shaded, and others are warm."""
    path = ROOT / "docs" / "results" / "demo" / "summary.json"
    summary = Summary.from_json(json.loads(path.read_text(encoding="utf-8")))
    table = table_section(summary).values["table"]
    assert next(iter(table.changes)) == GAIN
    naive = [column.title for column in table.table.columns].index("naive") - 2
    shown = {
        (row[0].text.replace("\u00a0", " "), row[1].text): kept[naive]
        for row, kept in zip(table.table.rows, table.changes[GAIN], strict=True)
    }
    for name, _, share, domain, _ in measured_verdict(summary).lights.rows:
        held = shown[name.text, domain.text]
        assert held.text == f"{share.text} kept".replace(" %", "\u00a0%")
        assert held.ends == share.beside
        assert (held.shade > 0) == (share.value < 0.9)

    found = forecast(("a", "b", "c"), {frozenset("ac"): 0.3})
    for row in found["predictions"]:
        row["perplexity"] = 1.0
    table = predict_section(found, Predictions.from_json(found)).values["table"]
    weights = [row[0].text for row in table.table.rows]
    kept = dict(zip(weights, table.changes[GAIN], strict=True))
    assert [one and one.text for one in kept["base"]] == [None] * 3
    assert [one and one.text for one in kept["a + c"]] == ["70\u00a0% kept", None, "70\u00a0% kept"]
    assert [one.shade > 0 for one in kept["a + b"][:2]] == [False, False]
