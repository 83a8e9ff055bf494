"""Rivals that read more of the data: what is measured of them, and where it enters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.prediction.measured import Measured
from benchmarks.prediction.points import Point
from benchmarks.second import rivals as rivals_module
from benchmarks.second.figures import aware
from benchmarks.second.plan import Part, weightings
from benchmarks.second.rivals import collected_rivals, rivals, scattered
from benchmarks.second.rows import Measurements, PartRows
from benchmarks.second.settings import SOURCES, second_field

from superpose.measure.evaluate import Score

WIDTHS = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


def lost(points: np.ndarray, place: int) -> np.ndarray:
    """A loss that is a quadratic of the task weights."""
    apart = points - np.eye(points.shape[1])[place]
    return 1 + (0.1 * WIDTHS * apart**2).sum(axis=1) + 0.05 * apart.sum(axis=1) ** 2


def test_rivals_enter_where_they_were_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MAP meets a loss that is its quadratic; activation distance is that of the inner products."""
    field = second_field(tmp_path)
    monkeypatch.setattr(rivals_module, "RIVAL_ROWS", tmp_path / "rivals.npz")
    assert collected_rivals(field) == {}
    tokens = np.array([3, 5, 4])
    for each in rivals(field):
        place = field.names.index(each.domain)
        if each.members:
            points = scattered(field, each)
            assert points.shape == (10, 6)
            assert set(np.flatnonzero(points.any(axis=0))) == {
                field.names.index(name) for name in each.members
            }
            assert (points <= 1).all()
            nll = (lost(points, place)[:, None] * tokens).tolist()
            found = {"points": points.tolist(), "tokens": tokens.tolist(), "nll": nll}
        else:
            inputs = [np.diag(WIDTHS).tolist(), np.diag(WIDTHS).tolist()]
            found = {"inputs": inputs, "curvature": inputs, "modules": ["q", "v"]}
        field.folder.write(each.file, found)
    seen = collected_rivals(field)
    assert {domain for _, domain in seen} == set(SOURCES)
    triple = next(each for each in rivals(field) if each.members)
    place = field.names.index(triple.domain)
    others = [field.names.index(name) for name in triple.members if name != triple.domain]
    figures = aware(calibrated(field.names), seen)
    scores = Score((1.0,), (1,)), Score((1.0,), (1,))
    at = figures(Measured(Point("main", 0, triple.members), triple.domain, *scores))
    assert at["activation distance"] == pytest.approx(np.sqrt(2 * WIDTHS[others].sum()))
    ends = np.eye(6)[place], np.eye(6)[[place, *others]].sum(axis=0)
    own, both = lost(np.array(ends), place)
    assert at["MAP, one merge"] == pytest.approx(both - own, rel=1e-4)
    elsewhere = figures(Measured(Point("main", 1, triple.members), triple.domain, *scores))
    assert np.isnan(elsewhere["activation distance"])
    assert np.isnan(elsewhere["MAP, one merge"])


def calibrated(names: tuple[str, ...]) -> Measurements:
    """What every seed's calibration rows show, which has no part in these figures."""
    found = {}
    field = second_field("nowhere")
    for seed in (0, 1):
        for domain in names:
            for part in ("slopes", "evaluated"):
                points = weightings(field, Part(seed, domain, part))
                tokens, none = np.array([3, 4]), np.zeros(0)
                nll = lost(points, names.index(domain))[:, None] * tokens
                slopes = np.zeros((*nll.shape, 6)) if part == "slopes" else none
                found[Part(seed, domain, part)] = PartRows(
                    points, tokens, nll, none, none.astype(int), slopes, none, np.array(1.0)
                )
    return Measurements(names, found)
