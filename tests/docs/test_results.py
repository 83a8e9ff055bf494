"""docs/results.md is what the script makes of the committed JSON, and says what the JSON says."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
from tests.script_modules import script_module
from tests.studies.recomputed import deviations

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return script_module("results")


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == script.page()


def test_every_study_on_the_page_shows_its_changes_of_perplexity(script: ModuleType) -> None:
    page = script.page()
    found = sorted((ROOT / "docs" / "results").glob("*/summary.json"))
    assert found
    for path in found:
        summary = json.loads(path.read_text(encoding="utf-8"))
        assert f"## {summary['name']}" in page
        for subset in summary["subsets"]:
            mean = subset["measured"][-1]["dppl_merged"]["mean"]
            assert f"{mean:+.1f}" in page


def test_the_recorded_correlations_are_those_of_the_recorded_points() -> None:
    """Run `python scripts/correlate_again.py` where they are not."""
    again = script_module("correlate_again").again
    for path in sorted((ROOT / "docs" / "results").glob("*/summary.json")):
        summary = json.loads(path.read_text(encoding="utf-8"))
        assert json.loads(json.dumps(again(summary))) == summary, path


def test_three_seeds_show_in_the_intervals_and_give_no_interval_of_a_correlation(
    script: ModuleType,
) -> None:
    page = script.page()
    assert "+8.4 ± 2.1 [+3.0, +14.0]" in page
    assert "| rms cosine | pairs | 9 | 0.603 | 0.567 | 777 |" in page
    assert "three domains and three seeds: too few to resample; no interval" in page


def test_the_papers_change_stands_beside_both_budgets_of_merged_data(script: ModuleType) -> None:
    assert (
        "| finance + medicine | +27.56 | +8.4 ± 2.1 [+3.0, +14.0] | -2.9 ± 1.4 |" in script.page()
    )


def test_the_page_of_reliability_is_up_to_date() -> None:
    module = script_module("reliability")
    figures, coverage, mutants = module.recorded()
    page = module.page(figures, coverage, mutants)
    assert module.PAGE.read_text(encoding="utf-8") == page
    assert all(f"| {name.removeprefix('killed: ')} |" in page for name in figures if name != "fuzz")


def test_the_tests_are_as_strong_as_the_page_says() -> None:
    """Of what was measured; what no test noticed is listed, and where it has no effect, why."""
    module = script_module("reliability")
    _, coverage, mutants = module.recorded()
    if coverage:
        assert coverage["all"]["branches passed"] >= 0.95 * coverage["all"]["branches"]
    for room, each in mutants.get("rooms", {}).items():
        without = sum(name in mutants["explained"] for name in each["survivors"])
        assert each["killed"] >= 0.85 * (each["tried"] - without), room
        assert each["killed"] + len(each["survivors"]) == each["tried"]


def test_a_page_tells_coverage_and_mutants_that_were_kept() -> None:
    module = script_module("reliability")
    lines = {"lines": 200, "lines passed": 199, "branches": 40, "branches passed": 39}
    coverage = {"names": lines, "errors": {**lines, "branches": 0, "branches passed": 0}}
    survivors = ["superpose.names.a: `x | y`: BitOr becomes BitAnd", "superpose.names.b: `1`: one"]
    mutants = {
        "rooms": {"names": {"mutants": 900, "tried": 22, "killed": 20, "survivors": survivors}},
        "explained": {survivors[1]: "a chunk's size"},
    }
    page = module.page({}, coverage, mutants)
    assert "| names | 200 | 99.5 % | 40 | 97.5 % |" in page
    assert "| errors | 200 | 99.5 % | 0 |  |" in page
    assert "| names | 900 | 22 | 1 | 20 | 95 % | 76 to 100 % |" in page
    assert "| names.a: `x \\| y`: BitOr becomes BitAnd | no test yet |" in page
    assert "| names.b: `1`: one | a chunk's size |" in page
    assert "How strong" not in module.page({}, {}, {})


def test_the_readmes_picture_shows_the_recorded_demo() -> None:
    drawing = (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8")
    words = "".join(html.unescape(text) for text in re.findall("<text[^>]*>(.*?)</text>", drawing))
    words = words.replace("\N{NO-BREAK SPACE}", " ")
    found = json.loads((ROOT / "docs/results/demo/summary.json").read_text(encoding="utf-8"))
    for row in found["methods"]:
        ends = (row[f"dppl_{against}"]["mean"] for against in ("merged", "single"))
        against = ", ".join(f"{end:+.1f}" for end in ends)
        assert f"{row['perplexity']['mean']:.2f}" in words, row
        assert f"({against})" in words, row
    (best,) = (
        row
        for row in found["methods"]
        if (row["method"], row["domain"], len(row["subset"])) == ("regmean", "union", 3)
    )
    assert f"keeps {100 * best['kept']['share']:.0f} %" in words


def test_the_recorded_demos_figures_are_those_of_its_rows() -> None:
    apart = dict(deviations(ROOT / "docs" / "results" / "demo"))
    assert len(apart) > 100
    assert max(apart.values()) < 1e-5
