"""What the record says that regmean needs, anew from its row losses: NumPy, and nothing of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def check_record(record: dict[str, Any], file: Path, reference: str) -> None:
    """Hold every figure that has no draw in it against row losses. file: these, as .npz."""
    with np.load(file) as arrays:
        held = {key: arrays[key].astype(float) for key in arrays.files}
    cells = [key.split("|") for key in held if key.startswith("inputs|")]

    def nats(way: str, sums: list[tuple[str, str]]) -> np.ndarray:
        """The mean over members of nats an answer token, (sums,)."""
        losses = [
            [
                held[f"inputs|{seed}|{domains}|{way}|{d}"].sum() / held[f"tokens|{d}"].sum()
                for d in domains.split("+")
            ]
            for seed, domains in sums
        ]
        return np.array([np.mean(each) for each in losses])

    assert set(record["ways"]) == {way for _, _, _, way, _ in cells}
    for way, found in record["ways"].items():
        sums = sorted({(seed, domains) for _, seed, domains, one, _ in cells if one == way})
        assert found["sums"] == len(sums)
        own, naive, mine, base = (nats(each, sums) for each in ("own", "sum", way, reference))
        gap = (naive - own).mean()
        assert found["gap_closed"]["value"] == pytest.approx((naive - mine).mean() / gap, abs=1e-3)
        assert found["beyond"]["value"] == pytest.approx((base - mine).mean() / gap, abs=1e-3)
        assert found["less_than_naive"] == pytest.approx((mine - naive).mean(), rel=1e-3, abs=1e-5)
        assert found["better_than_naive"] == int((mine < naive).sum())
    assert record["ways"]["own"]["gap_closed"]["value"] == 1.0
    assert record["ways"][reference]["beyond"] == {"value": 0.0, "interval": [0.0, 0.0]}
