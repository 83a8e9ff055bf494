"""Every link to a file of this project leads to one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_resolve(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_every_file_that_contributing_names_is_there() -> None:
    """Those of the library are named from its folder on; NAME stands for what is yours."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.findall(r"`((?:[\w.]+/)+(?:[\w.]+\.\w+)?)`", text)
    assert len(found) > 40
    places = (ROOT, ROOT / "src" / "superpose")
    made = {".venv", ".cache", ".venv-core", ".venv-llama", "dist"}
    missing = [
        path
        for path in found
        if "NAME" not in path
        and path.split("/")[0] not in made
        and not any((place / path).exists() for place in places)
    ]
    assert missing == []
