"""The desk's own figure, its address, the page on real paper, long tables and the picture."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from superpose.landscape.predictions import Predictions
from superpose.report.tables import difference

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.report.conftest import Foreseen, Open


def rest(page: Page) -> None:
    """Wait until the desk is drawn."""
    page.evaluate("() => new Promise(requestAnimationFrame)")


@pytest.mark.parametrize("weights", [(1, 1, 1), (0.4, 0.9, 0.7), (1, 0, 1)])
def test_the_desks_own_figure_is_what_python_says_is_kept(
    open_page: Open, three: Foreseen, weights: tuple[float, ...]
) -> None:
    """The share, its interval and the domain of the sum's own adapters that keeps least."""
    forecast, every = three.forecast, [(1, 1, 1), (0.4, 0.9, 0.7), (1, 0, 1), (0, 0, 0)]
    own = [tuple(float(k == d) for k in range(3)) for d in range(3)]
    rows = forecast.predict([list(map(float, point)) for point in (*every, *own)])
    known = Predictions(forecast.names, forecast.domains, rows)
    wanted = [known.share(weights, d) for d, w in zip(forecast.domains, weights, strict=True) if w]
    page = open_page(three.path)
    said = page.evaluate("weights => superpose.kept(weights)", list(weights))
    assert [one["name"] for one in said] == [share.domain for share in wanted]
    for one, share in zip(said, wanted, strict=True):
        for key in ("kept", "low", "high"):
            assert one[key] == pytest.approx(getattr(share, key), abs=1e-6)
    for k, weight in enumerate(weights):
        page.locator(f"[data-number='{k}']").fill(str(weight))
    rest(page)
    least = min(wanted, key=lambda share: share.kept or 0.0)
    assert page.locator("[data-kept]").text_content() == f"{100 * (least.kept or 0):.0f}\u00a0%"
    assert f"least on {least.domain}," in str(page.locator("[data-least]").text_content())


def test_the_address_keeps_the_weights_and_brings_them_back(
    open_page: Open, three: Foreseen
) -> None:
    page = open_page(three.path)
    page.locator("[data-number='1']").fill("0.25")
    page.wait_for_function("() => location.hash === '#desk=1,0.25,1'")
    page.reload()
    rest(page)
    assert page.locator("[data-number='1']").input_value() == "0.25"
    page.evaluate("() => (location.hash = '#desk=0,2.5,1')")
    page.wait_for_function("() => document.querySelector(\"[data-number='1']\").value === '2.5'")
    assert page.locator("[data-range='1']").get_attribute("max") == "2.5"


@pytest.mark.parametrize(
    "broken", ["#desk=1,1", "#desk=1,1,x", "#desk=1,,1", "#desk=1,1,1&of=7", "#desk=1e999,1,1"]
)
def test_an_address_that_says_no_weights_changes_nothing(
    open_page: Open, three: Foreseen, broken: str
) -> None:
    page = open_page(three.path)
    page.evaluate("broken => (location.hash = broken)", broken)
    rest(page)
    assert [page.locator(f"[data-number='{k}']").input_value() for k in range(3)] == ["1"] * 3


def test_on_real_paper_no_chart_lies_on_another(
    open_page: Open, studied: Path, tmp_path: Path
) -> None:
    """Each chart is made a link before printing: a PDF says on which page and where a link lies."""
    page = open_page(studied / "page.html")
    keys = page.evaluate(
        """() => [...document.querySelectorAll("svg.chart")].map((chart) => {
          const link = document.createElement("a");
          link.href = `https://chart.invalid/${chart.dataset.chart}`;
          link.style.display = "block";
          chart.replaceWith(link);
          link.append(chart);
          return chart.dataset.chart;
        })"""
    )
    file = tmp_path / "page.pdf"
    page.pdf(path=str(file), format="A4")
    found = boxes(file.read_bytes())
    assert sorted(key for key, _, _ in found) == sorted(keys), "a chart is torn, or missing"
    for key, sheet, (left, low, right, high) in found:
        assert 0 <= left < right <= 596, key
        assert 0 <= low < high <= 843, key
        for other, of, (a, b, c, d) in found:
            if other != key and of == sheet:
                assert right <= a + 1 or c <= left + 1 or high <= b + 1 or d <= low + 1, (
                    key,
                    other,
                )


def boxes(pdf: bytes) -> list[tuple[str, int, tuple[float, ...]]]:
    """The links of a PDF: the end of the address, which page object holds it, its rectangle."""
    objects = {
        int(number): body for number, body in re.findall(rb"(?s)(\d+) 0 obj\s(.*?)endobj", pdf)
    }
    sheets = {
        int(link): number
        for number, body in objects.items()
        if re.search(rb"/Type\s*/Page\b", body)
        for link in re.findall(rb"(\d+) 0 R", b"".join(re.findall(rb"/Annots\s*\[(.*?)\]", body)))
    }
    found = []
    for number, body in objects.items():
        address = re.search(rb"chart\.invalid/(\w+)", body)
        if address:
            place = re.search(rb"/Rect\s*\[(.*?)\]", body)
            assert place is not None
            corners = tuple(map(float, place[1].split()))
            found.append((address[1].decode(), sheets[number], corners))
    return found


@pytest.mark.hard
def test_a_long_table_is_filtered_by_the_names_in_its_rows(
    open_page: Open, twelve: Foreseen
) -> None:
    page = open_page(twelve.path)
    table = page.locator("[data-table='predicted']")
    rows, said = table.locator("tbody tr"), table.locator("[data-left]")
    assert said.text_content() == f"{rows.count()} rows"
    name = twelve.forecast.names[3]
    table.locator("[data-filter]").fill(f"  {name} + {twelve.forecast.names[5]}")
    shown = rows.evaluate_all(
        """rows => rows.filter((row) => row.checkVisibility())
          .map((row) => row.querySelector(".name").textContent)"""
    )
    assert 0 < len(shown) < rows.count()
    assert said.text_content() == f"{len(shown)} of {rows.count()} rows"
    assert all(name in row for row in shown)


def test_a_page_can_be_taken_as_a_picture(open_page: Open, hostile: Foreseen) -> None:
    page = open_page(hostile.path)
    size = page.evaluate("() => { const c = drawCard(); return [c.width, c.height]; }")
    assert size == [1200, 630]
    page.evaluate("() => (window.ClipboardItem = undefined)")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Copy as picture").click()
    assert waiting.value.suggested_filename == "superpose.png"
    assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG")
    assert page.evaluate("() => typeof hacked") == "undefined"


def test_a_change_of_a_third_is_not_coloured_as_one_of_thousands() -> None:
    shades = [difference(p) for p in (-60.0, 0.5, 5.0, 34.0, 300.0, 8636.0)]
    values = [one.shade for one in shades if one is not None]
    assert values == sorted(values)
    assert values[1] == 0.0
    assert values[3] < 0.6 < 0.9 < values[5]
    plain = difference(8636.0, coloured=False)
    assert plain is not None
    assert math.isclose(plain.shade, 0.0)
