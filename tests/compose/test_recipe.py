"""The recipe in CONTRIBUTING for a merge method gives one that passes the battery."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tests.compose import test_battery as battery
from tests.compose.battery import Entry, weighted

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[ModuleType]:
    """The module that the recipe shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"## To add a merge method.*?```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    path = tmp_path / "halved.py"
    path.write_text(found[1], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("halved", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["halved"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["halved"]


def test_the_method_of_the_recipe_passes_the_battery(written: ModuleType, tmp_path: Path) -> None:
    method = written.Halved()
    entry = Entry(
        lambda base: method,
        lambda parts, weights: weighted(parts, [0.5 * w for w in weights]),
        gives_one_back=False,
    )
    battery.test_a_method_is_a_frozen_object_in_a_file_of_its_own_and_says_what_it_is(method)
    battery.test_it_gives_what_its_definition_gives(entry, method)
    battery.test_its_inputs_stay_as_they_were(method)
    battery.test_another_split_of_the_same_deltas_gives_the_same(0, (0, 1, 2), method)
    battery.test_the_order_of_the_adapters_counts_only_where_it_should(entry, method)
    battery.test_how_it_was_made_is_true(entry, method)
    battery.test_what_is_written_and_read_back_says_how_it_was_made(method, tmp_path)
