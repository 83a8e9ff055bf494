"""Nine adapters of the second run: what is asked of their intervals, and what counts as new."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.second import nine as nine_module
from benchmarks.second.coverage import coverage
from benchmarks.second.nine import collected_nine, nine_parts, nine_points, recorded_nine
from benchmarks.second.plan import Part
from benchmarks.second.settings import PARTNERS, SOURCES, nine_field, second_field


def test_nine_adapters_are_asked_where_nothing_was_measured_and_count_as_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven triples, quadruples and weightings of all nine on each domain, whatever the seed."""
    second = second_field(tmp_path)
    nine = nine_field(second)
    assert nine.names == (*SOURCES, *PARTNERS)
    assert len(nine.names) == 9
    monkeypatch.setattr(nine_module, "NINE_ROWS", tmp_path / "nine.npz")
    assert collected_nine(second) is None
    for part in nine_parts(nine):
        points = nine_points(nine, part)
        place = nine.names.index(part.domain)
        rng = np.random.default_rng([place, part.part == "test"])
        tokens = rng.integers(3, 9, size=20)
        apart = points - np.eye(9)[place]
        loss = 1 + 0.05 * (apart**2).sum(axis=1)
        slopes = (0.1 * apart[:, None, :] * tokens[:, None]).tolist()
        content = {"points": points.tolist(), "tokens": tokens.tolist()}
        content["nll"] = (loss[:, None] * tokens).tolist()
        content["slopes"] = slopes if part.part == "slopes" else None
        nine.folder.write(part.file, content)
    found = collected_nine(second)
    assert found is not None
    test = found[Part(0, "music", "test")]
    assert sorted({int(p.sum()) for p in test.points[2:16]}) == [3, 4]
    assert (test.points[2:16, nine.names.index("music")] == 1).all()
    groups = coverage(found)["groups"]
    kinds = ["quadruples", "random weights", "triples"]
    assert [each["kind"] for each in groups] == kinds
    assert all(each["n"] == each["fresh"][1] == each["fresh_before"][1] == 42 for each in groups)
    test_parts = {p: r for p, r in found.parts.items() if p.part == "test"}
    several = {p: (r.points > 0).sum(axis=1) > 1 for p, r in test_parts.items()}
    worse = {
        p: replace(r, nll=r.nll + 10 * several[p][:, None] * r.tokens)
        for p, r in test_parts.items()
    }
    changed = replace(found, parts={**found.parts, **worse})
    assert [each["held"] for each in coverage(changed)["groups"]] == [0, 0, 0]
    assert [each["fresh"][0] for each in coverage(changed)["groups"]] == [0, 0, 0]


def test_the_rows_own_error_is_counted_beside_the_width_that_was_asked() -> None:
    """What falls out by no more than other rows may show is met; the present width decides not."""
    groups = {(g["adapters"], g["kind"]): g for g in recorded_groups() if g["rows"] == "test"}
    for group in (groups[9, "triples"], groups[9, "quadruples"]):
        held, count = group["fresh"]
        assert held < 0.9 * count <= group["fresh_met"][0]
        assert group["held"] >= 0.9 * count


def recorded_groups() -> list[dict[str, Any]]:
    """Give the groups of the record, counted from its row losses."""
    nine = recorded_nine()
    assert nine is not None
    return list(coverage(nine)["groups"])
