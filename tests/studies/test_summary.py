"""A study's summary is read and written without a loss, today's and older ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from superpose.errors import BadInput
from superpose.shown import Table
from superpose.studies.cells import TITLES, UNION
from superpose.studies.correlations import FIGURES
from superpose.studies.summary import SubsetPoint, Summary
from superpose.studies.tables import study_parts
from superpose.studies.verdict import measured_verdict

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
RECORDED = sorted(path.parent.name for path in RESULTS.glob("*/summary.json"))


def recorded(name: str = "smollm2") -> dict[str, Any]:
    """A committed summary, as JSON."""
    return dict(json.loads((RESULTS / name / "summary.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_summary_is_written_as_it_was_read(name: str) -> None:
    content = recorded(name)
    summary = Summary.from_json(content)
    assert summary.to_json() == content
    assert json.dumps(summary.to_json()) == json.dumps(content)  # in its order, too
    assert Summary.from_json(summary.to_json()) == summary


def test_an_older_summary_is_read_and_says_what_it_does_not_hold() -> None:
    """What was recorded in turn: no share kept, no forecast and no methods, no rows, no kind."""
    content = recorded("demo")
    for row in content["methods"]:
        del row["kept"]
    summary = Summary.from_json(content)
    assert {row.kept for row in summary.methods} == {None}
    with pytest.raises(BadInput, match="older than the share that a sum keeps"):
        measured_verdict(summary)

    del content["methods"], content["forecast"], content["machine"]
    for rows in content["domains"].values():
        for key in list(rows):
            if key not in ("test_rows", "answer_tokens"):
                del rows[key]
    for correlation in content["correlations"]:
        del correlation["among"]
    content["versions"]["superpose"] = None
    older = Summary.from_json(content)
    assert (older.methods, older.forecast, older.machine) == ((), None, {})
    assert older.domains["math"].test_rows == summary.domains["math"].test_rows
    assert {correlation.among for correlation in older.correlations} == {"all"}
    assert older.points == summary.points
    assert Summary.from_json(older.to_json()) == older


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s["points"][1].pop("norm"), r"points\.1\.norm"),
        (lambda s: s["points"][0].update(surprise=1.0), r"points\.0\.surprise"),
        (
            lambda s: s["subsets"][0]["measured"][2]["sum"].update(mean="high"),
            r"subsets\.0\.measured\.2\.sum",
        ),
        (lambda s: s["forecast"].pop("inside"), r"forecast\.inside"),
        (lambda s: s.pop("seeds"), "seeds"),
    ],
)
def test_what_is_no_summary_is_refused_by_the_name_of_the_part(change: Any, named: str) -> None:
    content = recorded()
    change(content)
    with pytest.raises(BadInput, match=rf"run/summary\.json.*: {named}"):
        Summary.from_json(content, where="run/summary.json")
    with pytest.raises(BadInput, match="is no summary"):
        Summary.from_json([])


def test_every_method_has_a_title_and_every_figure_a_place_in_a_point() -> None:
    methods = {row.method for name in RECORDED for row in Summary.from_json(recorded(name)).methods}
    assert methods < set(TITLES)
    assert len(set(TITLES.values())) == len(TITLES)
    assert set(FIGURES) <= set(SubsetPoint.__dataclass_fields__)


def test_several_seeds_widen_every_interval_that_is_shown() -> None:
    """In the table of sums, in the verdict, and on the page; what one seed shows stays as it is."""
    summary = Summary.from_json(recorded())
    change = summary.sums_on(("finance", "medicine"), UNION).dppl_merged
    assert change.interval == (6.9803, 9.8152)
    assert change.ends == pytest.approx((3.0, 14.0), abs=0.05)
    tables = (part for part in study_parts(summary) if isinstance(part, Table))
    sums = next(table for table in tables if table.title.startswith("Perplexity"))
    assert "over seeds and test questions" in sums.title
    assert "+8.4 [+3.0, +14.0]" in [cell.text for row in sums.rows for cell in row]
    best = measured_verdict(summary).best
    merged = summary.methods_on(summary.whole, UNION)[best.method].dppl_merged
    assert best.ends == merged.ends
    assert best.ends != merged.interval
    once = Summary.from_json(recorded("demo"))
    of_all = once.sums_on(once.whole, UNION).dppl_merged
    assert of_all.ends == of_all.interval
