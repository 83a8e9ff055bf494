"""Pages of a library: runs drawn as trees, cohorts, clusters and their map; whatever the names."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st
from tests.report.conftest import HOSTILE, MADE

import superpose
from superpose.library.opened import open_library
from superpose.report import library_page, lineage_page, render
from superpose.report.graph import Graph, tree

if TYPE_CHECKING:
    from tests.report.conftest import Open


def forest(sizes: list[int]) -> list[int | None]:
    """Of each thing what it hangs on: none, or one before it."""
    return [None if n % (at + 1) == at else n % (at + 1) for at, n in enumerate(sizes)]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40).map(forest))
def test_every_thing_stands_below_what_it_hangs_on_and_no_line_runs_through_another(
    above: list[int | None],
) -> None:
    names = [f"n{at}" for at in range(len(above))]
    rows = tree(names, above, names)
    assert sorted(row.name for row in rows) == sorted(names)
    at = {row.name: place for place, row in enumerate(rows)}
    for name, over in zip(names, above, strict=True):
        row = rows[at[name]]
        assert row.above == (None if over is None else at[f"n{over}"])
        if row.above is None:
            continue
        parent = rows[row.above]
        assert row.above < at[name]
        assert row.lane in (parent.lane, parent.lane + 1)
        between = rows[row.above + 1 : at[name]]
        assert all(other.lane > parent.lane for other in between)


def test_a_thousand_checkpoints_in_a_row_are_one_line() -> None:
    names = [f"checkpoint-{n}" for n in range(1000)]
    rows = tree(names, [None, *range(999)], names)
    assert {row.lane for row in rows} == {0}
    graph = Graph("run", "Run", "All.", tuple(rows))
    assert len(graph.lines) == 999
    assert graph.height == 28 * 1000


def test_the_page_draws_every_run_and_cohort_and_escapes_every_name(
    descended: Path, indexed: Path
) -> None:
    text = descended.read_text(encoding="utf-8")
    found = superpose.lineage(indexed).to_json()
    assert len(found["runs"]) >= 1
    assert len(found["cohorts"]) >= 1
    edges = sum(one["after"] is not None for run in found["runs"] for one in run["members"])
    spokes = sum(len(one["members"]) for one in found["cohorts"])
    assert text.count('class="edge"') == edges + spokes
    assert "<b>&" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//)""", text)


def test_hostile_names_of_a_lineage_mean_nothing_to_the_page() -> None:
    members: list[dict[str, Any]] = [
        {"name": name, "path": name, "norm": 1.0, "after": HOSTILE[0] if at else None,
         "cosine": 0.9 if at else None, "distance": 0.1 if at else None, "step": None}
        for at, name in enumerate(HOSTILE)
    ]  # fmt: skip
    found = {
        "among": 4,
        "runs": [{"base": HOSTILE[1], "members": members, "in_order": None}],
        "cohorts": [{"base": HOSTILE[0], "rank": 2, "members": list(HOSTILE), "cosine": 1.0}],
        "edges": [],
    }
    from superpose.library.lineage import Cohort, Lineage, Run, RunMember

    run = Run(HOSTILE[1], tuple(RunMember(**one) for one in members), None)
    cohort = Cohort(HOSTILE[0], 2, HOSTILE, 1.0)
    text = render(lineage_page(found, Lineage(4, (run,), (cohort,)).shown(), MADE))  # type: ignore[arg-type]
    assert "<img" not in text
    assert "<script>hacked" not in text
    assert "\u202e" not in text


def test_the_librarys_page_has_clusters_and_a_map_in_their_order(
    shelved: Path, indexed: Path, open_page: Open
) -> None:
    found = superpose.check(index=indexed).to_json()["bases"]
    page = open_page(shelved)
    assert page.locator("section[id^=base-]").count() == len(found) == 2
    assert page.locator("#base-1 .map").count() == 0  # of one adapter alone
    first = page.locator("#base-2 .map")
    names = first.locator("tbody th").all_text_contents()
    assert names == [name for cluster in found[1]["clusters"] for name in cluster]
    cells = first.locator("td[data-says]")
    assert cells.count() == len(names) * (len(names) - 1)
    cells.first.hover()
    assert " and " in str(page.locator("#tip").text_content())
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.says") != cells.first.get_attribute(
        "data-says"
    )


def test_the_indexs_page_has_every_adapter_and_why_others_are_left_out(
    held: Path, indexed: Path, open_page: Open
) -> None:
    entries = open_library(indexed).entries
    page = open_page(held)
    assert page.locator("h1").text_content() == f"{len(entries) + 1} adapters of 3 base models"
    rows = page.locator("#adapters tbody tr")
    names = rows.locator("th").all_text_contents()
    assert names == [*(entry.name for entry in entries), "nowhere"]
    cells = rows.first.locator("td").all_text_contents()
    assert cells[1:4] == [str(entries[0].rank), "float32", "peft"]
    assert "use_dora" in str(page.locator("#rest").text_content())
    with page.expect_download() as taken:
        page.locator("#adapters [data-csv]").click()
    with Path(taken.value.path()).open(encoding="utf-8-sig", newline="") as file:
        told = list(csv.DictReader(file))
    assert [row["name"] for row in told] == names
    assert float(told[0]["norm"]) == pytest.approx(entries[0].norm)


def test_a_page_of_very_many_adapters_says_how_many_it_shows() -> None:
    from superpose.library.entry import LibraryEntry
    from superpose.verbs.index import Indexed

    many = tuple(LibraryEntry(n, f"a{n}", f"/a/a{n}", base="b", rank=n % 9) for n in range(501))
    found = Indexed(Path("x.index"), many, {"new": 501}, {"b": 501}, (), 1.0)
    text = render(found.page())
    assert "Here are the first 500 of 501; the CSV file has all." in text
    assert text.count('<td class="name" data-value="b"') == 500
    assert found.held[0].ranks == "0 to 8"
    assert len(found.to_frame()) == 501


@pytest.mark.parametrize(
    ("count", "said"), [(2, "adapters."), (3, "the other stands"), (4, "the others stand")]
)
def test_those_that_stand_alone_are_told_where_there_are_any(count: int, said: str) -> None:
    names = [f"a{at}" for at in range(count)]
    clusters = [names[:2], *([name] for name in names[2:])]
    base = {"base": "b", "adapters": names, "clusters": clusters, "pairs": []}
    text = render(library_page({"bases": [base]}, [()], MADE))
    assert f"1 cluster has 2 of {count} adapters" in text
    assert said in text
    assert bool(re.search("stands? alone", text)) == (count > 2)


def test_a_drawing_says_what_it_shows_and_points_say_their_figures(
    descended: Path, open_page: Open
) -> None:
    page = open_page(descended)
    graph = page.locator("svg.graph").first
    assert "adapters of org/tiny-llama" in str(graph.locator("desc").text_content())
    says = graph.locator("g > title").all_text_contents()
    assert sum("cosine" in text for text in says) == len(says) - 1
    text = graph.locator("text").last.bounding_box()
    box = graph.bounding_box()
    assert text is not None
    assert box is not None
    assert text["x"] + text["width"] <= box["x"] + box["width"]


def test_pages_go_with_the_answer_and_a_file_that_is_no_page_stays(
    indexed: Path, tmp_path: Path, superpose: Any
) -> None:
    ended = superpose("lineage", "--index", indexed, "--json", "--html", tmp_path / "l.html")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["runs"]
    assert "page:" in ended.stderr
    (tmp_path / "mine").write_text("mine")
    for command in (["lineage", "--index"], ["check", "--index"], ["index", "-o"]):
        ended = superpose(*command, indexed, "--html", tmp_path / "mine")
        assert ended.returncode == 2
    assert (tmp_path / "mine").read_text() == "mine"
