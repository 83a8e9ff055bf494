"""Of many adapters: every pair's figures are those of the two alone, and hold hardly any memory."""

from __future__ import annotations

import gc
import itertools
import json
import pickle
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import WriteAdapter
from tests.report.conftest import MADE
from tests.report.test_verdict_of_check import text_of

import superpose
from superpose.adapter import Adapter
from superpose.cli.console import answer
from superpose.interference import Check, check
from superpose.interference.many import as_many
from superpose.report import check_page, render
from superpose.shown import Heat, Line, Table

LAYOUTS = (
    {"q": (60, 50), "k": (40, 50), "v": (60, 80)},
    {"q": (60, 50), "v": (60, 80)},
    {"k": (40, 50)},
)


@pytest.fixture
def found(build: Callable[..., Adapter]) -> Check:
    """Nine adapters of three layouts and ranks, one of them another's scaled copy."""
    made = [build(f"a{n}", n, LAYOUTS[n % 3], rank=(1, 4, 4, 7)[n % 4]) for n in range(8)]
    return check([*made, -3.0 * made[1]])


def test_every_pair_of_many_has_the_figures_of_the_two_alone(
    build: Callable[..., Adapter], found: Check
) -> None:
    made = [build(f"a{n}", n, LAYOUTS[n % 3], rank=(1, 4, 4, 7)[n % 4]) for n in range(8)]
    made.append(-3.0 * made[1])
    for pair, two in zip(found.pairs, itertools.combinations(made, 2), strict=True):
        (alone,) = check(two).pairs
        assert [m.name for m in pair.modules] == [m.name for m in alone.modules]
        ours, theirs = (
            np.array([list(vars(m).values())[1:] for m in each.modules], dtype=float)
            for each in (pair, alone)
        )
        np.testing.assert_allclose(ours, theirs, atol=3e-6)
        for name, value in vars(alone).items():
            if isinstance(value, float):
                assert getattr(pair, name) == pytest.approx(value, abs=3e-6, nan_ok=True), name
        assert (pair.shared_a, pair.contained is None) == (alone.shared_a, alone.contained is None)
        assert pair.judgement.verdict == alone.judgement.verdict


def test_a_pair_s_modules_are_a_sequence_wherever_they_are_taken(found: Check) -> None:
    modules = found.pairs[0].modules
    every = tuple(modules)
    assert len(modules) == len(every) == 2
    assert (modules[0], modules[-1], modules[1:]) == (every[0], every[1], every[1:])
    assert modules == every == pickle.loads(pickle.dumps(modules))
    assert modules != every[:1]
    assert repr(modules) == repr(every)
    assert hash(modules) == hash(every)


def test_a_pair_of_many_holds_no_record_of_its_modules(build: Callable[..., Adapter]) -> None:
    """Beside the arrays of figures: sixty records of a module are 20 kB."""
    layout = {f"m{n}": (8, 8) for n in range(60)}
    made = [build(f"a{n}", n, layout, rank=1) for n in range(30)]
    check(made[:2])
    gc.collect()
    tracemalloc.start()
    try:
        held = check(made)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    arrays = 5 * 8 * len(layout) * len(made) ** 2
    assert size - arrays < 4_000 * len(held.pairs)


def test_json_that_comes_pair_by_pair_is_that_of_the_whole(
    found: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(found, as_json=True)
    whole = {"schema": 1, **found.to_json()}
    assert capsys.readouterr().out == json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def test_in_python_pairs_come_one_by_one_too(build: Callable[..., Adapter]) -> None:
    """What stands in memory for a pair goes before the next comes."""
    layout = {f"m{n}": (8, 8) for n in range(60)}
    found = check([build(f"a{n}", n, layout, rank=1) for n in range(20)])
    whole = found.to_json()["pairs"]
    assert list(found.in_parts()["pairs"]) == whole
    gc.collect()
    tracemalloc.start()
    try:
        for pair in found.in_parts()["pairs"]:
            assert len(pair["modules"]) == 60
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10 * len(json.dumps(whole[0])) < len(json.dumps(whole)) / 10


def test_the_page_of_many_shows_the_foremost_and_tells_of_all(
    build: Callable[..., Adapter],
) -> None:
    made = [build(f"a{n:02d}", n, {"q": (30, 30)}, 2) for n in range(39)]
    found = check([*made, Adapter(dict(2.0 * made[30]), "copy")])
    names = found.foremost()
    assert len(names) == 24
    assert {"a30", "copy"} <= set(names)
    page = render(check_page(found.in_parts(), MADE, names))
    said = text_of(page)
    assert "a30 + copy: a scaled copy" in said
    counts = Counter(pair.judgement.verdict for pair in found.pairs)
    assert f"{counts['unrelated']} pairs: unrelated" in said
    assert "These are the pairs of 24 of 40 adapters" in said
    every = render(check_page(found.to_json(), MADE))
    assert len(page) < 0.6 * len(every)


def test_a_few_have_all_their_pairs_on_the_page(
    write_adapter: WriteAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("math", "law", "code")):
        write_adapter(name, seed=seed)
    monkeypatch.chdir(tmp_path)
    found = superpose.check("math", "law", "code")
    page, whole = found.page("check"), check_page(found.to_json(), MADE)
    assert page.sections[1].data == whole.sections[1].data
    assert "These are the pairs of" not in render(page)


def test_of_a_few_every_pair_is_spoken_of_and_of_many_the_foremost(
    build: Callable[..., Adapter],
) -> None:
    made = [build(f"a{n:02d}", n, {"q": (30, 30)}, 2) for n in range(13)]
    for count, told in ((12, 66), (13, 4)):
        found = check(made[:count])
        parts = found.shown()
        labels = {f"{p.a} + {p.b}: {p.judgement.verdict}." for p in found.pairs}
        spoken = [each for each in parts if isinstance(each, Line) and each.strong in labels]
        assert min(told, 24) == len(spoken), count
        titles = [each.title for each in parts if isinstance(each, Table)]
        assert titles[:2] == ["Adapters", "Pairs"]


@pytest.mark.parametrize(("alone", "said"), [(0, ""), (1, "1 of 6 adapters stands alone: no cosine "
                         "of its reaches 0.25."), (2, "2 of 7 adapters stand alone: no cosine of "
                         "theirs reaches 0.25.")])  # fmt: skip
def test_clusters_are_numbered_and_those_that_stand_alone_counted(alone: int, said: str) -> None:
    groups = [0, 0, 1, 1, 1, *range(2, 2 + alone)]
    same = np.equal.outer(groups, groups)
    cosine = np.where(same, 0.9, 0.1)
    np.fill_diagonal(cosine, np.nan)
    names = [f"a{n}" for n in range(len(groups))]
    table, heat = as_many(names, cosine, 10.0 * cosine)
    assert isinstance(table, Table)
    assert isinstance(heat, Heat)
    assert [[cell.value for cell in row[:2]] for row in table.rows] == [[1, 3], [2, 2]]
    assert table.remark == f"Joined by cosines of 0.25 or more in size. {said}".strip()
    assert heat.rows[:5] == ("a2", "a3", "a4", "a0", "a1")
