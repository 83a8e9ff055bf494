"""The documentation's search works where the site was opened from disk."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from tests.report.conftest import Open

ROOT = Path(__file__).resolve().parents[2]


def test_the_search_of_a_site_that_is_opened_from_disk_finds_a_word(
    open_page: Open, tmp_path: Path
) -> None:
    """With the site's own theme and script, and two pages of its own."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    site = yaml.safe_load(text.replace("!ENV", ""))
    assert {"search", "offline"} <= {name for plugin in site["plugins"] for name in plugin}
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# Start\n\nNothing here.\n")
    (docs / "other.md").write_text("# Other\n\nA task weight of a superposition.\n")
    shutil.copy(ROOT / "docs" / "iframe-worker.js", docs)
    kept = {key: site[key] for key in ("site_name", "use_directory_urls", "theme", "extra")}
    small = tmp_path / "mkdocs.yml"
    small.write_text(yaml.safe_dump({**kept, "plugins": ["search", "offline"]}))
    words = [sys.executable, "-m", "mkdocs", "build", "--quiet", "-f", str(small)]
    subprocess.run(words, check=True, cwd=tmp_path, env={"NO_MKDOCS_2_WARNING": "1"})
    page = open_page(tmp_path / "site" / "index.html")
    # Typed, as the theme listens to keys: of a text that is put in it sees what stood there a
    # millisecond after the field had the focus, which on a busy machine is nothing.
    page.locator(".md-search__input").press_sequentially("superposition")
    found = page.locator(".md-search-result__link").first
    found.wait_for(timeout=30_000)
    assert str(found.get_attribute("href")).endswith("other.html")
