"""Bars of what a verb tells: one for each thing that is being done, made when it is told of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

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
