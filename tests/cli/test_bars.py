"""Bars of what a verb tells: one for each thing that is being done, made when it is told of."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from superpose.cli import console

if TYPE_CHECKING:
    from rich.progress import Progress


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Progress]:
    """The displays that were made."""
    displays: list[Progress] = []
    make = console.progress

    def remembered(**options: Any) -> Progress:
        displays.append(make(**options))
        return displays[-1]

    monkeypatch.setattr(console, "progress", remembered)
    return displays


def test_what_tells_nothing_has_no_bar(made: list[Progress]) -> None:
    with console.bars():
        pass
    assert made == []


def test_what_goes_on_keeps_its_bar_and_what_begins_anew_has_its_own(made: list[Progress]) -> None:
    with console.bars(percent=True) as tell:
        for done, name in enumerate(("q_proj", "k_proj", "v_proj", "extract tuned")):
            tell(done, 3, name)
        for done in range(3):
            tell(done, 2, "measure")
    (display,) = made
    found = [(task.description, task.completed, task.total) for task in display.tasks]
    assert found == [("extract tuned", 3, 3), ("measure", 2, 2)]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("percent", [True, False])
def test_what_is_done_gives_way_and_the_clock_is_whole(
    width: int, percent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = io.StringIO()
    told = Console(file=heard, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "err", lambda: told)
    with console.bars(percent=percent) as tell:
        tell(100_000, 200_000, "evaluate merged-code+chemistry+music+sport+cooking (seed 0)")
    lines = [line for line in re.split(r"[\r\n]", heard.getvalue()) if "evaluate" in line]
    drawn = re.sub(r"\x1b\[[\d;?]*\w", "", lines[-1])
    assert ("50%" if percent else "100000/200000") in drawn
    assert re.search(r" 0:00:0\d left -:--:--$", drawn)
    assert len(drawn) <= width
