"""axe-core finds no serious fault on any page with everything open, in light and dark."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.report.conftest import Open, PageOf


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [("check", "dark"), ("three", "light"), ("hostile", "light"), ("tune", "dark"),
     pytest.param("twelve", "dark", marks=pytest.mark.hard), ("study", "light"),
     pytest.param("study", "dark", marks=pytest.mark.hard)],
)  # fmt: skip
def test_axe_finds_nothing_serious(
    open_page: Open, page_of: PageOf, kind: str, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(page_of(kind), color_scheme=scheme)
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    # Of what passes one node a rule is enough: a large page has tens of thousands.
    response = Axe().run(page, options={"resultTypes": ["violations"]}).response
    assert "color-contrast" in {rule["id"] for rule in response["passes"]}
    grave = {
        fault["id"]: [node["html"][:120] for node in fault["nodes"][:3]]
        for fault in response["violations"]
        if fault["impact"] in ("serious", "critical")
    }
    assert grave == {}


@pytest.mark.parametrize("kind", ["check", "tune", "study"])
def test_headings_go_down_one_at_a_time(open_page: Open, page_of: PageOf, kind: str) -> None:
    page = open_page(page_of(kind))
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize("kind", ["three", "tune", "study"])
def test_every_control_has_a_name(open_page: Open, page_of: PageOf, kind: str) -> None:
    page = open_page(page_of(kind))
    named = page.locator("input, select, button").evaluate_all(
        "all => all.map(c => (c.labels?.[0]?.textContent ?? c.ariaLabel ?? c.textContent).trim())"
    )
    assert len(named) > 10
    assert all(named)
