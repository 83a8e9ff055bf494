"""Whatever a delta changes (a bias, an embedding, a group, an expert) is merged like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.compose.battery import assert_close, dense, merged
from tests.formats.kinds import CLOSE, distance, make, quietly
from tests.formats.test_kinds import DELTAS

import superpose
from superpose.compose import CoreSpace, Dare, Iso, Knots, Method, Orthogonal, Svc, Ties, Tsv, Wudi

ALL = Ties(density=1.0)


@quietly
@pytest.mark.parametrize("kind", DELTAS)
@pytest.mark.parametrize("method", [ALL, Tsv(), CoreSpace(rule=ALL)], ids=lambda m: m.name)
def test_one_adapter_merged_and_written_is_itself_in_peft(
    method: Method, kind: str, tmp_path: Path
) -> None:
    base, settings = DELTAS[kind]
    make(tmp_path / "a", base(), settings, 0)
    superpose.save(merged([superpose.load(tmp_path / "a")], method), tmp_path / "out")
    assert distance(base, [(tmp_path / "a", 1.0)], tmp_path / "out") < CLOSE


@quietly
@pytest.mark.parametrize("kind", DELTAS)
def test_two_adapters_of_a_kind_are_merged_written_and_read_back(kind: str, tmp_path: Path) -> None:
    base, settings = DELTAS[kind]
    for seed, name in enumerate("ab"):
        make(tmp_path / name, base(), settings, seed)
    parts = [superpose.load(tmp_path / name) for name in "ab"]
    rules = [Ties(density=0.5), Dare(), Knots(), Tsv(), Iso(), CoreSpace(), Wudi(), Svc()]
    for method in (*rules, Orthogonal()):
        found = merged(parts, method, [1.0, -0.5])
        superpose.save(found, tmp_path / method.name)
        back = superpose.load(tmp_path / method.name)
        assert {k: back[k].place for k in back} == {k: found[k].place for k in found}
        assert_close(dense(back), dense(found), tolerance=1e-5 * _largest(found))


def _largest(adapter: superpose.Adapter) -> float:
    return max(1.0, *(float(np.abs(x).max()) for x in dense(adapter).values()))
