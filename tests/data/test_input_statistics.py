"""What a file of input statistics may hold: a change to any part of it is read, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from superpose.data.input_statistics import InputStatistics
from superpose.errors import BadInput
from superpose.files.tensors import open_tensors
from superpose.lowrank.second_moment import SecondMoment

UP, DOWN = "model.layers.0.mlp.up_proj", "model.layers.0.mlp.down_proj"
GATE = "model.layers.0.mlp.gate_proj"


def sketch(seed: int) -> SecondMoment:
    X = np.random.default_rng(seed).standard_normal((10, 40))
    return SecondMoment.of(X @ X.T / 40).sketched(4)


@pytest.fixture
def known() -> InputStatistics:
    one = sketch(1)
    return InputStatistics({UP: one, GATE: one, DOWN: sketch(2)}, "org/tiny", 8, 40)


def changed(
    known: InputStatistics, path: Path, note: dict[str, Any], tensors: dict[str, np.ndarray]
) -> Path:
    """Write statistics with parts of the note and tensors replaced."""
    known.save(path)
    held = open_tensors(path).read()
    ((key, text),) = held.metadata.items()
    old = {name: np.array(value) for name, value in held.tensors.items()}
    path.unlink()
    save_file({**old, **tensors}, path, metadata={key: json.dumps({**json.loads(text), **note})})
    return path


def inputs(**change: Any) -> dict[str, Any]:
    """Give the note's inputs with the first of them changed."""
    first: dict[str, Any] = {"modules": [UP, GATE], "rest": 0.5}
    return {"inputs": [{**first, **change}, {"modules": [DOWN], "rest": 0.5}]}


NOTES: list[dict[str, Any]] = [
    *({"version": bad} for bad in (0, "1", None, [1])),
    *({"base_model": bad} for bad in (7, [], {})),
    *({name: bad} for name in ("rows", "tokens") for bad in (0, -1, True, "x", 1e400, 1.5, None)),
    *({"inputs": bad} for bad in ({}, [], None, [1], [{}], "ab")),
    *(inputs(rest=bad) for bad in (-1, True, "x", None, float("nan"), float("inf"), 10**400)),
    *(inputs(modules=bad) for bad in ([1], [[UP]], [DOWN], [UP, UP], None, 3)),
]


@pytest.mark.parametrize("note", NOTES, ids=str)
def test_a_note_that_nobody_wrote_is_damaged(
    note: dict[str, Any], known: InputStatistics, tmp_path: Path
) -> None:
    path = changed(known, tmp_path / "s.safetensors", note, {})
    with pytest.raises(BadInput, match="note of these input statistics is damaged") as caught:
        InputStatistics.load(path)
    assert caught.value.where == str(path)
    assert "superpose statistics" in str(caught.value.hint)


TENSORS: dict[str, Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]] = {
    "0.values` holds NaN": lambda V, s: {"0.values": np.where(s == s.max(), np.nan, s)},
    "0.vectors` holds NaN": lambda V, s: {"0.vectors": np.where(V.max() == V, np.inf, V)},
    "no second moment": lambda V, s: {"0.values": -s},
    "`0.values` are no second": lambda V, s: {"0.values": s.astype(float) * 1e300},
    "are no second": lambda V, s: {"0.vectors": V[0]},
    "no orthonormal directions": lambda V, s: {"0.vectors": 100 * V},
    "`0.vectors` holds no ortho": lambda V, s: {"0.vectors": V.astype(float) * 1e300},
    "holds no orthonormal": lambda V, s: {"0.vectors": 0 * V},
    "holds no ortho": lambda V, s: {"0.vectors": V[:6].copy()},
    "factors are float32": lambda V, s: {"0.values": s.astype(np.int32)},
}


@pytest.mark.parametrize("message", TENSORS)
def test_tensors_that_are_no_second_moment_are_refused_with_the_way_to_make_them(
    message: str, known: InputStatistics, tmp_path: Path
) -> None:
    V, s = sketch(1).vectors.astype(np.float16), sketch(1).values.astype(np.float32)
    path = changed(known, tmp_path / "s.safetensors", {}, TENSORS[message](V, s))
    with pytest.raises(BadInput, match=message) as caught:
        InputStatistics.load(path)
    assert str(path) in str(caught.value.where)
    assert "superpose statistics" in str(caught.value.hint)


def test_what_it_does_not_know_beside_what_it_needs_is_passed_over(
    known: InputStatistics, tmp_path: Path
) -> None:
    path = changed(known, tmp_path / "s.safetensors", {"x": 1}, {"other": np.ones(2, np.float32)})
    assert list(InputStatistics.load(path)) == [UP, GATE, DOWN]


@pytest.mark.parametrize(
    "name",
    [UP, UP.removeprefix("model."), f"language_model.{UP}", "model.layers.0.mlp.up_proj"],
)
def test_a_module_is_found_whatever_a_file_calls_it(name: str, known: InputStatistics) -> None:
    assert name in known
    assert known[name] is known[UP]
    assert known[name] is not known[DOWN]


def test_a_module_of_which_it_does_not_tell_is_not_found(known: InputStatistics) -> None:
    for name in ("model.layers.1.mlp.up_proj", "up_proj", ""):
        assert name not in known
    names = (UP, f"language_model.{UP}")
    twice = InputStatistics({name: sketch(1) for name in names}, None, 1, 1)
    assert UP.removeprefix("model.") not in twice


@pytest.mark.parametrize("tokens", [8, 400])
def test_what_it_tells_of_few_tokens_is_which_they_are(tokens: int) -> None:
    """As docs/merging.md says: the first layer's inputs are the embedding's rows, normed."""
    rng = np.random.default_rng(0)
    vocabulary = rng.standard_normal((1000, 64))
    vocabulary /= np.linalg.norm(vocabulary, axis=1)[:, None]
    seen = rng.choice(1000, tokens, replace=False)
    X = vocabulary[seen].T
    V = SecondMoment.of(X @ X.T / tokens).sketched(16).vectors
    likely = np.argsort(-np.sum((vocabulary @ V) ** 2, axis=1))[:tokens]
    share = len(set(likely) & set(seen)) / tokens
    assert (share == 1.0) is (tokens < 16), "of many tokens it does not tell all"
