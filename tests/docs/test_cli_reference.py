"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

import runpy
from pathlib import Path

from superpose.cli.app import COMMANDS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "cli.md"


def test_the_reference_is_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "cli_reference.py"))["reference"]()
    assert PAGE.read_text(encoding="utf-8") == made, "run `make docs`"


def test_every_command_has_its_section() -> None:
    titles = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "## "]
    assert titles == ["## superpose", *(f"## superpose {name}" for name in COMMANDS)]


def test_the_help_of_every_command_shows_a_runnable_example() -> None:
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[2:]:
        name = section.splitlines()[0]
        usage, _, rest = section.partition("\n\n  ")
        assert f"Usage: {name}" in usage
        assert f"{name} " in rest or name == "superpose demo", f"{name} shows no example"


def test_the_reference_names_both_ways_to_ask_for_help() -> None:
    """`-h` too, which every command takes: the page is made with the settings of a real call."""
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        assert "\n  -h, --help  " in section, section.splitlines()[0]
