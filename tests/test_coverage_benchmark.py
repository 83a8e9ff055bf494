"""The coverage of a forecast's intervals, on losses whose shape is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks import coverage

from superpose.landscape.polynomial import design_points


def written(run: Path, bump: float) -> None:
    """Write a run of four adapters: a loss of the polynomial's own shape, but for what three do."""
    rng = np.random.default_rng(0)
    tokens, apart = rng.integers(3, 9, 40), rng.normal(size=40, scale=0.05)

    def nll(point: np.ndarray) -> list[float]:
        others = point[1:]
        left = 1 - point[0]
        value = 2 + 0.25 * left**2 + 0.75 * left**4 + 0.2 * float(np.sum(others**2))
        value += 0.1 * float(others.sum() ** 2) + bump * float(np.count_nonzero(others) == 2)
        return list(tokens * (value + apart))

    def slope(point: np.ndarray) -> list[list[float]]:
        others = point[1:]
        left = 1 - point[0]
        by = [-0.5 * left - 3 * left**3, *(0.4 * others + 0.2 * others.sum())]
        return [[t * each for each in by] for t in tokens.tolist()]

    sloped, plain = (np.array(points) for points in design_points(0, 4))
    triples = np.array([[1.0, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1]])
    parts = {
        "slopes": sloped,
        "evaluated": np.vstack([plain, triples]),
        "test": np.vstack([sloped[:1], triples, [[0.7, 0.2, 1.3, 0.4]]]),
    }
    for part, points in parts.items():
        path = run / part / "seed-0" / "a.json"
        path.parent.mkdir(parents=True)
        slopes = [slope(p) for p in points] if part == "slopes" else None
        found = {"points": points.tolist(), "tokens": tokens.tolist(), "slopes": slopes}
        path.write_text(json.dumps(found | {"nll": [nll(p) for p in points]}))


def test_every_weighting_that_the_fit_has_not_seen_is_held_against_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, 0.0)
    held = list(coverage.of_run(tmp_path))
    kinds = [(each.adapters, each.kind, each.rows) for each in held]
    assert kinds.count((4, "sums", "calibration")) == kinds.count((4, "sums", "test")) == 3
    assert all(each.inside and abs(each.off) < 1e-9 for each in held)
    coverage.main([str(tmp_path)])
    assert "| 4 | random weights | test | 1 | 100 % |" in capsys.readouterr().out


def test_a_loss_of_another_shape_falls_out_of_the_interval(tmp_path: Path) -> None:
    written(tmp_path, 1.0)
    sums = [each for each in coverage.of_run(tmp_path) if each.kind == "sums"]
    assert sums
    assert not any(each.inside for each in sums)
