"""Two adapters of a tiny model, and what their sum computes, once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.formats.kinds import llama
from tests.in_peft.loaded import WEIGHTS, right_outputs, saved


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    targets = {"target_modules": ["q_proj", "v_proj"]}
    settings = [targets, {"use_rslora": True, "r": 6, **targets}]
    return saved(tmp_path_factory.mktemp("pair"), llama, settings)


@pytest.fixture(scope="session")
def right(pair: list[Path]) -> tuple[Any, Any]:
    """What a base with the sum computes, and what the bare one does."""
    return right_outputs(llama, list(zip(pair, WEIGHTS, strict=True)))
