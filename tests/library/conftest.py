"""A small library on disk: runs with checkpoints, copies, another base, damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.library.making import (
    moved,
    random_factors,
    split_anew,
    write_factors,
)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters that nobody changes: eight of their own, a run, copies, and what cannot be read."""
    top = tmp_path_factory.mktemp("shelf")
    for number in range(8):
        write_factors(top / f"own-{number}", random_factors(number, rank=2 + number % 3))
    factors = random_factors(50, rank=4)
    for step in (100, 200, 300):
        write_factors(top / "run" / f"checkpoint-{step}", factors)
        factors = moved(factors, step, 0.1)
    write_factors(top / "run", factors)
    write_factors(top / "copies" / "halves", random_factors(0, rank=2), dtype="bfloat16")
    write_factors(top / "copies" / "scaled", random_factors(0, rank=2), alpha=-5.0)
    write_factors(top / "copies" / "split", split_anew(random_factors(0, rank=2), 1))
    write_factors(top / "elsewhere", random_factors(1, rank=3), base="org/other")
    broken = write_factors(top / "broken", random_factors(9))
    data = (broken / "adapter_model.safetensors").read_bytes()
    (broken / "adapter_model.safetensors").write_bytes(data[: len(data) // 2])
    return top
