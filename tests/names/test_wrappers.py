"""Patterns of a configuration beside names in which training left its wrappers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.names.families import linear, pair, write

import superpose
from superpose.errors import BadInput, SuperposeWarning

PLAIN = "model.layers.0.self_attn.q_proj"
WRAPPED = "model.layers.0._fsdp_wrapped_module.self_attn.q_proj"


def _written(folder: Path, name: str = WRAPPED, **config: Any) -> tuple[Path, float]:
    """An adapter of rank 2 and alpha 4 with one layer, and the norm of B A."""
    A, B = pair(np.random.default_rng(0), 8, 6)
    tensors, own = linear({name: (A, B)}, **config)
    return write(folder, tensors, **own), float(np.linalg.norm(B @ A))


@pytest.mark.parametrize("key", [PLAIN, "layers.0.self_attn.q_proj", WRAPPED])
def test_a_rank_is_found_by_a_key_without_the_wrappers(tmp_path: Path, key: str) -> None:
    folder, size = _written(tmp_path / "a", r=16, rank_pattern={key: 2})
    with pytest.warns(SuperposeWarning, match="wrappers"):
        found = superpose.load(folder)
    assert list(found) == [PLAIN]
    assert found.norm() == pytest.approx(2 * size)


def test_an_alpha_that_wrappers_hide_is_refused_and_both_ways_out_work(tmp_path: Path) -> None:
    folder, size = _written(tmp_path / "a", alpha_pattern={"layers.0.self_attn.q_proj": 10})
    with pytest.raises(BadInput, match="alpha is 4 and without them 10") as refused:
        superpose.load(folder)
    key, value = re.search(r'add "(.+)": (\d+) to', str(refused.value.hint)).groups()  # type: ignore[union-attr]
    after = {"layers.0.self_attn.q_proj": 10, key: int(value)}
    for pattern, alpha in ((after, 10), ({}, 4)):
        folder, _ = _written(tmp_path / f"{alpha}", alpha_pattern=pattern)
        with pytest.warns(SuperposeWarning, match="wrappers"):
            assert superpose.load(folder).norm() == pytest.approx(alpha / 2 * size)
