"""docs/results.md is what the script makes of the committed JSON, and says what the JSON says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", ROOT / "scripts" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == script.page()


def test_every_study_on_the_page_shows_its_changes_of_perplexity(script: ModuleType) -> None:
    page = script.page()
    found = sorted((ROOT / "docs" / "results").glob("*/summary.json"))
    assert found
    for path in found:
        summary = json.loads(path.read_text(encoding="utf-8"))
        assert f"## {summary['name']}" in page
        for subset in summary["subsets"]:
            mean = subset["rows"][-1]["dppl_merged"]["mean"]
            assert f"{mean:+.1f}" in page
