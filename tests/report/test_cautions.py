"""What limits a study stands on its page once, and the forecast takes part in the tournament."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from superpose.report.cautions import cautions, other_remarks
from superpose.report.relation import relation_section
from superpose.shown.csv_table import csv_text
from superpose.studies.summary import Summary

ROOT = Path(__file__).resolve().parents[2]
ORDERS = "3 domains can be put in too few orders for a permutation test."


def demo(**changes: Any) -> Summary:
    """The committed demo's summary."""
    path = ROOT / "docs" / "results" / "demo" / "summary.json"
    return Summary.from_json(json.loads(path.read_text(encoding="utf-8")) | changes)


def test_a_caution_is_said_once_in_sentences() -> None:
    found = demo().correlations
    pairs = cautions(found, "pairs")
    assert pairs.startswith("Three points prove nothing: ")
    assert pairs.endswith(ORDERS)
    every = cautions(found, "all", but=pairs)
    assert every.startswith("Four points: ")
    assert "Three domains and one seed only: too few to draw again for an interval." in every
    assert ORDERS in cautions(found, "all")
    assert ORDERS not in every


def test_all_charts_together_say_a_caution_once_and_how_it_was_made_says_none() -> None:
    summary = demo()
    notes = [chart.note for chart in relation_section(summary).values["charts"]]
    assert " ".join(notes).count(ORDERS) == 1
    assert "no permutation" not in " ".join(notes)
    cut = "math: at 48 tokens 1 of 6 test answers are cut"
    remarks = [*summary.remarks, cut, "not finished, and left out: seeds 1"]
    assert other_remarks(remarks, summary.correlations) == [
        f"{cut}.",
        "Not finished, and left out: seeds 1.",
    ]


def test_the_forecast_takes_part_in_the_tournament_without_an_interval() -> None:
    summary = demo()
    assert summary.forecast is not None
    measured = summary.forecast.interference
    chart = relation_section(summary).values["charts"][-1]
    (dot,) = chart.dots[-1].dots
    assert (dot.x, dot.ends) == (measured.pearson, None)
    assert "no interval: the points share adapters and domains" in dot.says
    assert "another outcome: the interference" in chart.note
    name, among, points, pearson, spearman, slope = chart.table.rows[-1]
    assert name.text == "forecast (of interference)"
    assert (among.text, points.sort) == ("domains of every sum", measured.n)
    assert (pearson.sort, spearman.sort) == (measured.pearson, measured.spearman)
    assert (pearson.note, slope.text) == ("", "–")
    last = list(csv.DictReader(io.StringIO(csv_text(*chart.table.csv))))[-1]
    assert (last["figure"], last["pearson_low"]) == ("forecast_of_interference", "")
    assert float(last["pearson"]) == measured.pearson


def test_without_a_forecast_the_tournament_is_of_weights_alone() -> None:
    summary = demo(forecast=None)
    chart = relation_section(summary).values["charts"][-1]
    assert "forecast" not in chart.note
    assert len(chart.table.rows) == len(summary.correlations)
