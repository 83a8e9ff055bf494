"""axe-core finds no serious fault on any page, in light and dark."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.report.conftest import Open


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [("check", "dark"), ("three", "light"), ("hostile", "light"), ("study", "light"),
     ("study", "dark")],
)  # fmt: skip
def test_axe_finds_nothing_serious(
    open_page: Open, every_page: Mapping[str, Path], kind: str, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(every_page[kind], color_scheme=scheme)
    response = Axe().run(page).response
    assert "color-contrast" in {rule["id"] for rule in response["passes"]}
    grave = {
        fault["id"]: [node["html"][:120] for node in fault["nodes"][:3]]
        for fault in response["violations"]
        if fault["impact"] in ("serious", "critical")
    }
    assert grave == {}


def test_headings_go_down_one_at_a_time(open_page: Open, every_page: Mapping[str, Path]) -> None:
    for kind in ("check", "study"):
        page = open_page(every_page[kind])
        levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => +h.tagName[1])")
        assert levels[0] == 1
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_every_control_has_a_name(open_page: Open, every_page: Mapping[str, Path]) -> None:
    page = open_page(every_page["study"])
    named = page.locator("input, select, button").evaluate_all(
        "all => all.map(c => (c.labels?.[0]?.textContent ?? c.ariaLabel ?? c.textContent).trim())"
    )
    assert len(named) > 10
    assert all(named)
