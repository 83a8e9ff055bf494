"""What the hard tests share: how often they try, from which seed, and where their figures go.

TRIALS and SEED in the environment choose; `make test-hard` hands them on. FIGURES names a JSON file
that what was counted is written to, for docs/reliability.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TRIALS = int(os.environ.get("TRIALS", "50"))
SEED = int(os.environ.get("SEED", "0"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that lies here."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("hard")


Counted = Callable[..., None]


@pytest.fixture(scope="session")
def counted() -> Iterator[Counted]:
    """Take figures of a test, by what was tried, and write all of them in the end."""
    found: dict[str, dict[str, float]] = {}

    def take(what: str, **figures: float) -> None:
        found[what] = figures

    yield take
    if path := os.environ.get("FIGURES"):
        file = Path(path)
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        text = json.dumps(known | found, indent=1, sort_keys=True)
        file.write_text(text + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def inputs(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters, base models and questions that all the commands read."""
    from tests.hard.jobs import write_inputs

    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, tiny_base)
    return folder
