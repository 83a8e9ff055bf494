"""`superpose tune` and `add --weights FILE`, on a tiny model."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import superpose as library
from superpose.errors import BadInput

if TYPE_CHECKING:
    from tests.cli.conftest import Run

MODULES = tuple(f"model.layers.{n}.self_attn.{m}_proj" for n in range(2) for m in "oq")


@pytest.fixture
def adapters(write_adapter: Any) -> list[Path]:
    return [
        write_adapter(
            name, seed=seed, modules=MODULES, width=32, alpha=0.3, base_model="tiny-llama"
        )
        for seed, name in enumerate(("sums", "coins"))
    ]


@pytest.fixture
def data(question_files: dict[str, Path]) -> list[object]:
    return [arg for path in question_files.values() for arg in ("--data", path)]


@pytest.mark.parametrize("objective", ["mean", "worst"])
def test_tuned_weights_are_the_best_of_all_that_was_measured(
    run: Run, tiny_base: Path, adapters: list[Path], data: list[object], objective: str
) -> None:
    ended = run(
        "tune", tiny_base, *adapters, *data, "--rows", 6, "--objective", objective, "--json"
    )
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    values: dict[tuple[float, ...], dict[str, float]] = {}
    for row in said["measured"]:
        values.setdefault(tuple(row["weights"].values()), {})[row["domain"]] = row["nll"]
    own = np.array([values[(1.0, 0.0)]["sums"], values[(0.0, 1.0)]["coins"]])
    regrets = {w: np.array(list(v.values())) - own for w, v in values.items()}
    measure = np.mean if objective == "mean" else np.max
    best = min(regrets, key=lambda w: measure(regrets[w]))
    assert tuple(said["weights"].values()) == best
    assert said["objective"] == pytest.approx(measure(regrets[best]))
    methods = {row["method"] for row in said["measured"]}
    assert {"naive", "average", "single", "closed form"} <= methods
    assert {row["domain"] for row in said["predictions"]} == {"sums", "coins"}


def test_bounds_hold_for_every_weight(
    run: Run, tiny_base: Path, adapters: list[Path], data: list[object]
) -> None:
    """Even where the naive sum or an adapter alone, at weight 1, would be better."""
    bounds = ("--least", 0.1, "--most", 0.6)
    ended = run("tune", tiny_base, *adapters, *data, "--rows", 6, *bounds, "--json")
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert all(0.1 <= weight <= 0.6 for weight in said["weights"].values())
    measured = [row["weights"] for row in said["measured"] if row["method"] == "single"]
    assert max(max(weights.values()) for weights in measured) == 1.0


def test_the_command_in_the_terminal_is_one_that_add_takes(
    run: Run, tiny_base: Path, write_adapter: Any, data: list[object], tmp_path: Path
) -> None:
    """With a space in a path, and bases of two names that --same-base says are one."""
    parts = [
        write_adapter(f"my {n}", seed=n, modules=MODULES, width=32, alpha=0.3, base_model=name)
        for n, name in enumerate(("tiny-llama", "another"))
    ]
    ended = run("tune", tiny_base, *parts, *data, "--rows", 4, "--same-base")
    assert ended.code == 0, ended.err
    (line,) = (line for line in ended.out.splitlines() if line.startswith("Best: "))
    words = shlex.split(line.removeprefix("Best: superpose "))
    assert words[:4] == ["add", *map(str, parts), "--same-base"]
    assert words[-2:] == ["-o", "OUT"]
    added = run(*words[:-1], tmp_path / "sum")
    assert added.code == 0, added.err


@pytest.mark.parametrize(("by", "groups"), [("layer", 2), ("kind", 2), ("module", 4)])
def test_finer_weights_go_through_a_file_into_the_sum(
    run: Run, tiny_base: Path, adapters: list[Path], data: list[object], tmp_path: Path,
    by: str, groups: int,
) -> None:  # fmt: skip
    ended = run("tune", tiny_base, *adapters, *data, "--rows", 8, "--by", by, "--json")
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    finer = said["finer"]
    assert finer["groups"] == groups
    assert finer["end"] <= finer["start"]
    for name in ("sums", "coins"):
        assert set(finer["weights"][name]) == set(MODULES)
        assert len(set(finer["weights"][name].values())) <= groups
    (tmp_path / "weights.json").write_text(ended.out)
    added = run("add", *adapters, "--weights", tmp_path / "weights.json", "-o", tmp_path / "sum")
    assert added.code == 0, added.err
    total, parts = library.load(tmp_path / "sum"), [library.load(path) for path in adapters]
    for module in MODULES:
        right = sum(
            finer["weights"][p.name][module] * c * B @ A
            for p in parts
            for c, B, A in p[module].terms
        )
        ((c, B, A),) = total[module].terms
        np.testing.assert_allclose(c * B @ A, right, rtol=1e-4, atol=1e-6)


def test_a_weight_for_each_direction_goes_through_a_file_into_the_sum(
    run: Run, tiny_base: Path, adapters: list[Path], data: list[object], tmp_path: Path
) -> None:
    ended = run("tune", tiny_base, *adapters, *data, "--rows", 8, "--by", "direction", "--json")
    assert ended.code == 0, ended.err
    finer = json.loads(ended.out)["finer"]
    assert finer["end"] < finer["start"]
    (tmp_path / "weights.json").write_text(ended.out)
    added = run("add", *adapters, "--weights", tmp_path / "weights.json", "-o", tmp_path / "sum")
    assert added.code == 0, added.err
    total, right = library.load(tmp_path / "sum"), {}
    for part in [library.load(path) for path in adapters]:
        for module in MODULES:
            weights = finer["weights"][part.name][module]
            dense = sum(c * B @ A for c, B, A in part[module].terms)
            U, s, Vt = np.linalg.svd(dense, full_matrices=False)
            assert len(weights) == np.linalg.matrix_rank(dense)
            few = len(weights)
            right[module] = right.get(module, 0.0) + (U[:, :few] * s[:few] * weights) @ Vt[:few]
    assert len({w for of in finer["weights"].values() for ws in of.values() for w in ws}) > 4
    for module in MODULES:
        ((c, B, A),) = total[module].terms
        np.testing.assert_allclose(c * B @ A, right[module], rtol=1e-4, atol=1e-6)


def test_bake_and_verify_take_the_same_file(
    run: Run, tiny_base: Path, adapters: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "w.json").write_text('{"weights": {"coins": -2, "sums": 0.5}}')
    weights = ("--weights", tmp_path / "w.json")
    baked = run("bake", tiny_base, *adapters, *weights, "-o", tmp_path / "model")
    assert baked.code == 0, baked.err
    assert run("verify", tiny_base, *adapters, tmp_path / "model", *weights).code == 0
    assert run("verify", tiny_base, *adapters, tmp_path / "model").code == 1


def test_an_adapter_in_the_place_of_the_base_is_said(
    run: Run, adapters: list[Path], tmp_path: Path
) -> None:
    run("add", *adapters, "-o", tmp_path / "sum")
    first, *others = adapters
    for named in (
        lambda: library.verify(first, others, tmp_path / "sum"),
        lambda: library.bake(first, others, tmp_path / "x"),
    ):
        with pytest.raises(BadInput, match="is an adapter, not a base model"):
            named()
    ended = run("add", *adapters, "--base", tmp_path / "nowhere", "-o", tmp_path / "other")
    assert (ended.code, "nowhere: there is no such folder" in ended.err) == (3, True)
    assert "embedded base model" in run("info", "smollm2").err


def test_a_file_of_plain_weights_counts_by_name(
    run: Run, adapters: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "w.json").write_text('{"weights": {"coins": -2, "sums": 0.5}}')
    ended = run("add", *adapters, "--weights", tmp_path / "w.json", "-o", tmp_path / "x", "--json")
    assert ended.code == 0, ended.err
    weights = {p["name"]: p["weight"] for p in json.loads(ended.out)["parents"]}
    assert weights == {"sums": 0.5, "coins": -2.0}


def test_bad_weights_and_options_are_refused(
    run: Run, tiny_base: Path, adapters: list[Path], data: list[object], tmp_path: Path
) -> None:
    files = {
        "no file of task weights": "[1]",
        "it has no 'weights'": "{}",
        "weights are no mapping": '{"weights": [1, 1]}',
        "the weight of `coins` is not finite": '{"weights": {"sums": 1, "coins": 1%s}}'
        % ("0" * 400),
        "the weight of `sums` is no number": '{"weights": {"sums": true, "coins": 1}}',
        "no mapping from adapters": '{"weights": {"sums": 1, "coins": 1}, "finer": []}',
        "holds weights of": '{"weights": {"law": 1, "sums": 1}}',
        "different adapters": '{"weights": {"a": 1}, "finer": {"weights": {"b": {"m": 1}}}}',
        "has no task weight of its own": json.dumps(
            {
                "weights": {"sums": 1, "coins": 1},
                "finer": {"weights": {"sums": {"m": 1}, "coins": {"m": 1}}},
            }
        ),
    }
    for message, content in files.items():
        (tmp_path / "w.json").write_text(content)
        ended = run("add", *adapters, "--weights", tmp_path / "w.json", "-o", tmp_path / "x")
        assert ended.code == 2, message
        assert message in ended.err
        assert not (tmp_path / "x").exists()
    ended = run("add", *adapters, "--weights", tmp_path / "nowhere.json", "-o", tmp_path / "x")
    assert ended.code == 2
    assert "no file of them" in ended.err
    (tmp_path / "w.json").write_text('{"weights": {"coins": 1, "sums": 1}}')
    twice = run("add", f"{adapters[0]}:2", adapters[1], "--weights", tmp_path / "w.json", "-o", "x")
    assert twice.code == 2
    assert "given twice" in twice.err
    for options in (("--objective", "best"), ("--by", "rank"), ("--least", 2, "--most", 1)):
        ended = run("tune", tiny_base, *adapters, *data, *options)
        assert ended.code == 2
        assert str(options[0]) in ended.err
