"""Pages in a real browser: quiet, narrow, dark, printed, sorted, taken along, and with any name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.report.conftest import HOSTILE, KINDS, MADE

from superpose.report import study_page, write_page
from superpose.studies.summary import Summary

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page
    from tests.report.conftest import Foreseen, Open, PageOf


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fits_a_phone_without_sideways_scrolling(
    open_page: Open, page_of: PageOf, kind: str
) -> None:
    page = open_page(page_of(kind), viewport={"width": 375, "height": 800})
    for details in page.locator("details").all():
        details.evaluate("element => (element.open = true)")
    page.wait_for_timeout(50)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 375
    assert page.locator("h1").count() == 1


def test_on_a_phone_the_sections_stand_in_one_line_that_keys_scroll(
    open_page: Open, three: Foreseen
) -> None:
    page = open_page(three.path, viewport={"width": 375, "height": 800})
    nav, last = page.locator(".top nav"), page.locator(".top nav a").last
    assert nav.bounding_box()["height"] < 60  # type: ignore[index]
    assert nav.get_attribute("data-beyond-edge") == "end"
    last.focus()
    page.wait_for_function("() => document.querySelector('.top nav').scrollLeft > 0")
    at = last.bounding_box()
    assert at is not None
    assert at["x"] >= 0
    assert at["x"] + at["width"] <= 375


def test_every_sum_of_a_study_fits_the_page_or_says_that_it_goes_on(
    open_page: Open, studied: Path
) -> None:
    """With merged data, equal steps and rank too there are columns more than the demo has."""
    path = studied / "page.html"
    wide = open_page(path, viewport={"width": 1280, "height": 800}).locator("#table")
    box = wide.locator(".box")
    fits = box.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert wide.locator(".more").count() == (0 if fits else 1)
    ends = wide.locator(".ends")
    assert ends.count() > 0
    assert ends.first.evaluate("end => getComputedStyle(end).display") == "block"
    narrow = open_page(path, viewport={"width": 375, "height": 800}).locator("#table")
    more = narrow.locator(".more")
    assert "scroll sideways" in str(more.text_content())
    assert narrow.locator(".box").get_attribute("data-beyond-edge") == "end"
    narrow.locator(".box").evaluate("box => (box.scrollLeft = box.scrollWidth)")
    narrow.locator(".more.at-end").wait_for(state="attached")
    assert not more.is_visible()
    assert narrow.locator(".box").get_attribute("data-beyond-edge") == "start"


def test_no_head_or_name_breaks_inside_a_word(open_page: Open, checked: Path) -> None:
    page = open_page(checked, viewport={"width": 375, "height": 800})
    page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
    broken = page.locator(".data .name").evaluate_all(
        """cells => cells.flatMap((cell) => {
          const found = [];
          const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
          while (walker.nextNode())
            for (const { index, 0: word } of walker.currentNode.data.matchAll(/[a-z]+/g)) {
              const range = document.createRange();
              range.setStart(walker.currentNode, index);
              range.setEnd(walker.currentNode, index + word.length);
              if (range.getClientRects().length > 1) found.push(word);
            }
          return found;
        })"""
    )
    assert broken == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_thing_on_a_page_is_the_verdict(
    open_page: Open, page_of: PageOf, kind: str
) -> None:
    page = open_page(page_of(kind))
    assert page.locator("main > section").first.get_attribute("id") == "verdict"
    assert page.locator(".verdict").first.bounding_box()["y"] < 500  # type: ignore[index]


def test_dark_and_light_follow_the_system_and_the_button(open_page: Open, checked: Path) -> None:
    page = open_page(checked, color_scheme="dark")
    assert luminance(page) < 0.1
    page.get_by_role("button", name="Show the page in light colours").click()
    assert luminance(page) > 0.8
    page.get_by_role("button", name="Show the page in dark colours").click()
    assert luminance(page) < 0.1
    assert luminance(open_page(checked)) > 0.8


def test_on_paper_a_page_is_light_and_has_no_controls(open_page: Open, three: Foreseen) -> None:
    page = open_page(three.path, color_scheme="dark")
    page.emulate_media(media="print")
    ink = page.evaluate("() => getComputedStyle(document.body).color")
    assert max(channels(ink)) < 100
    for control in ("#theme", ".desk-controls", "[data-csv]", "[data-choose]"):
        assert not page.locator(control).first.is_visible(), control
    assert page.locator(".verdict").first.is_visible()
    assert page.locator("[data-domain='0'] [data-value]").is_visible()


def test_heads_sort_the_table_by_click_and_by_key(open_page: Open, three: Foreseen) -> None:
    page = open_page(three.path)
    table = page.locator("[data-table='predicted']")
    head = table.locator("th[scope=col]").nth(1)

    def column() -> list[float]:
        cells = table.locator("tbody tr > :nth-child(2)")
        return [
            float(value) for value in cells.evaluate_all("all => all.map(c => c.dataset.value)")
        ]

    rows = column()
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(rows) != rows
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column() == sorted(rows, reverse=True)
    assert table.locator("[aria-sort]:not([aria-sort=none])").count() == 1


def test_differences_change_with_what_they_are_against(open_page: Open, three: Foreseen) -> None:
    """Sums are coloured by the size of their change; the base, of which all are far, is not."""
    page = open_page(three.path)
    table = page.locator("[data-table='predicted']")

    def cell(name: str) -> Locator:
        head = page.get_by_role("rowheader", name=name, exact=True)
        return table.locator("tbody tr", has=head).locator("td").first

    base, own, other = cell("base"), cell("a"), cell("b")
    assert "% kept" in table.inner_text(), "first the measure that the verdict goes by"
    assert "▲" not in base.inner_text()
    table.locator("[data-reference]").select_option(label="each domain's own adapter")
    assert "▲ +" in base.inner_text()
    assert base.get_attribute("data-shade") is None
    assert own.get_attribute("data-shade") is None
    assert other.get_attribute("data-shade") == "warm"
    table.locator("[data-reference]").select_option(label="the base")
    assert "=" in base.inner_text()
    assert base.get_attribute("data-shade") is None
    assert own.get_attribute("data-shade") == "cool"


def test_a_table_can_be_taken_along_and_is_no_formula(open_page: Open, hostile: Foreseen) -> None:
    page = open_page(hostile.path)
    with page.expect_download() as waiting:
        page.locator("[data-table='predicted'] [data-csv]").click()
    assert waiting.value.suggested_filename == "predicted.csv"
    rows = list(csv.reader(io.StringIO(Path(waiting.value.path()).read_text(encoding="utf-8"))))
    count = len(HOSTILE)
    assert len(rows) == 1 + count * (2**count + 1)
    assert {len(row) for row in rows} == {count + 8}
    assert [row[-1] for row in rows] == ["measured_nll"] + [""] * (len(rows) - 1)
    assert "'=HYPERLINK(1)" in rows[0]
    assert not any(field.startswith(("=", "@")) for row in rows for field in row)
    first = hostile.forecast.predict([list(map(float, rows[1][:count]))])[0]
    assert rows[1][count + 1] == "foretold"
    assert float(rows[1][count + 2]) == pytest.approx(first.nll)


def test_cells_tell_their_figures_to_pointer_and_keyboard(open_page: Open, checked: Path) -> None:
    page = open_page(checked)
    tip = page.locator("#tip")
    cells = page.locator("[data-map='cosine'] button")
    cells.nth(1).hover()
    assert "math and finance: cosine" in str(tip.text_content())
    page.mouse.move(0, 0)
    assert not tip.is_visible()
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    label = page.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert label == cells.nth(1).get_attribute("aria-label") == tip.text_content()
    page.keyboard.press("Enter")
    modules = page.locator("[data-modules] caption")
    assert str(modules.text_content()).startswith("math + finance: cosine")
    page.get_by_role("radio", name="Outputs").check()
    assert "overlap" in str(modules.text_content())
    assert page.locator("[data-modules] td[data-says]").count() == 8
    page.locator("[data-modules] td[data-says]").first.hover()
    assert str(tip.text_content()).startswith("model.layers.0.q_proj: overlap")


@pytest.mark.hard
def test_a_cell_that_is_scrolled_to_by_key_keeps_its_note(
    open_page: Open, twelve: Foreseen
) -> None:
    """On a phone the map scrolls under the keys; what has no focus loses its note to scrolling."""
    page = open_page(twelve.path, viewport={"width": 375, "height": 800})
    tip, cells = page.locator("#tip"), page.locator("[data-map='cosine'] button")
    page.locator("#pairs [data-fold]").first.evaluate("fold => (fold.open = true)")
    cells.first.focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        """() => {
          const cell = document.activeElement;
          const tip = document.getElementById("tip");
          const [at, note] = [cell, tip].map((each) => each.getBoundingClientRect());
          const middle = at.left + at.width / 2;
          return cell.closest(".box").scrollLeft > 0
            && !tip.hidden && tip.textContent === cell.getAttribute("aria-label")
            && note.left <= middle && middle <= note.right
            && Math.abs(at.top - note.bottom - 8) < 1;
        }"""
    )
    page.evaluate("() => document.activeElement.blur()")
    cells.first.scroll_into_view_if_needed()
    cells.first.hover()
    assert tip.is_visible()
    page.evaluate("() => scrollBy(0, 40)")
    page.wait_for_timeout(100)
    assert not tip.is_visible()


def test_hostile_names_are_text_wherever_they_stand(open_page: Open, hostile: Foreseen) -> None:
    page = open_page(hostile.path)
    assert page.evaluate("() => typeof hacked") == "undefined"
    assert page.locator("img").count() == 0
    visible = [name.replace("\u202e", "\\u202e") for name in HOSTILE]
    for section in ("#verdict", "#pairs", "#disturbance", "#table", "#desk"):
        text = page.locator(section).text_content() or ""
        assert any(name in text for name in visible), section
    # Of a name that looks like a path, tables show the last part.
    parts = [name.rpartition("/")[2] for name in visible]
    assert all(part in str(page.locator("#pairs").text_content()) for part in parts)
    assert "49" not in str(page.locator("#pairs thead").first.text_content())


def test_hostile_names_are_text_in_charts_too(open_page: Open, studied: Path) -> None:
    path = studied / "hostile.html"
    summary = renamed(json.loads((studied / "summary.json").read_text(encoding="utf-8")))
    seeds = summary["seeds"]
    parts = {
        kind: {s: renamed(json.loads((studied / f"cells/seed-{s}/{kind}.json").read_text()))
               for s in seeds}
        for kind in ("check", "forecast")
    }  # fmt: skip
    adapters = {seed: list(HOSTILE[:2]) for seed in seeds}
    write_page(
        path,
        study_page(Summary.from_json(summary), parts["check"], parts["forecast"], adapters, MADE),
    )
    page = open_page(path)
    told = page.locator("[data-chart=foreseen] .point title")
    assert HOSTILE[0] in str(told.first.text_content())
    assert page.locator("img").count() == 0
    assert page.evaluate("() => typeof hacked") == "undefined"


def test_charts_are_drawn_and_told_in_words_and_tables(open_page: Open, studied: Path) -> None:
    """Without a script, inside their figure, each point where its row of the table says."""
    page = open_page(studied / "page.html", java_script_enabled=False)
    for key, points in (("paper", 2), ("foreseen", 4), ("tournament", 7)):
        chart = page.locator(f"[data-chart={key}]")
        assert "Pearson's r" in str(chart.locator("desc").text_content())
        rows = page.locator(f"[data-chart={key}] ~ details tbody tr")
        assert chart.locator(".point").count() == rows.count() >= points, key
        for place in (*chart.locator(".point .shape").all(), *chart.locator("text").all()):
            assert within(place, page.locator(f"figure:has([data-chart={key}])")), key


def within(part: Locator, whole: Locator) -> bool:
    """Whether nothing of a part is drawn beside the whole."""
    inner, outer = part.bounding_box(), whole.bounding_box()
    assert inner is not None
    assert outer is not None
    return all(
        outer[at] - 1 <= inner[at] and inner[at] + inner[size] <= outer[at] + outer[size] + 1
        for at, size in (("x", "width"), ("y", "height"))
    )


def renamed(value: Any) -> Any:
    """A study's figures with hostile names for its domains."""
    if isinstance(value, Mapping):
        return {renamed(key): renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item) for item in value]
    if isinstance(value, str):
        return value.replace("sums", HOSTILE[0]).replace("coins", HOSTILE[1])
    return value


def channels(colour: str) -> list[float]:
    """The channels of `rgb(1, 2, 3)`."""
    return [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]


def luminance(page: Page) -> float:
    """How light the page's ground is, from 0 to 1."""
    colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    return sum(channels(colour)) / 3 / 255
