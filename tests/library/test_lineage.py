"""Runs are found and put in order, forks too; one start of A is seen; strangers are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from tests.library.making import Factors, moved, random_factors, write_factors

import superpose
from superpose.library.lineage import Lineage


def grown(factors: Factors, seed: int) -> Factors:
    """A step of training that goes on: a little off, and a little larger."""
    return {name: (1.05 * B, A) for name, (B, A) in moved(factors, seed, 0.15).items()}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Lineage:
    top = tmp_path_factory.mktemp("family")
    for number in range(6):
        write_factors(top / f"own-{number}", random_factors(number, rank=4))
    factors = random_factors(50, rank=4)
    for step in (100, 200, 300, 400):
        write_factors(top / "run" / f"checkpoint-{step}", factors)
        if step == 200:
            fork = factors
        factors = grown(factors, step)
    for step in (1, 2):
        fork = grown(fork, 1000 + step)
        write_factors(top / f"fork-{step}", fork)
    start = random_factors(60, rank=2)
    for number in range(3):
        other = random_factors(70 + number, rank=2)
        write_factors(top / f"same-a-{number}", {m: (other[m][0], start[m][1]) for m in start})
    superpose.index(top, top.parent / "family.index")
    return superpose.lineage(top.parent / "family.index")


def test_a_run_is_in_order_and_what_went_on_from_it_is_a_fork(found: Lineage) -> None:
    (run,) = found.runs
    after = {one.name: one.after for one in run.members}
    assert after == {
        "checkpoint-100": None,
        "checkpoint-200": "checkpoint-100",
        "checkpoint-300": "checkpoint-200",
        "checkpoint-400": "checkpoint-300",
        "fork-1": "checkpoint-200",
        "fork-2": "fork-1",
    }


def test_the_figures_of_a_run_are_those_of_its_adapters(found: Lineage) -> None:
    (run,) = found.runs
    paths = {one.name: one.path for one in run.members}
    for one in run.members[1:]:
        a, b = superpose.load(one.path), superpose.load(paths[str(one.after)])
        assert one.cosine == pytest.approx(a.cosine(b), abs=1e-9)
        assert one.distance == pytest.approx((a - b).norm() / a.norm(), abs=1e-7)


def test_adapters_that_began_with_one_a_are_a_cohort_and_no_run(found: Lineage) -> None:
    (cohort,) = [one for one in found.cohorts if one.rank == 2]
    assert set(cohort.members) == {"same-a-0", "same-a-1", "same-a-2"}
    assert cohort.cosine == pytest.approx(1.0)
    named = {name for one in found.cohorts for name in one.members}
    assert not any(name.startswith("own") for name in named)


def test_the_graph_has_every_edge_in_both_languages(found: Lineage) -> None:
    edges = found.to_json()["edges"]
    assert len(edges) == 5
    dot = found.to_dot()
    for edge in edges:
        assert f'"{edge["from"]}" -> "{edge["to"]}"' in dot
        assert np.isfinite(edge["cosine"])
