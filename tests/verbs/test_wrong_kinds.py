"""Whatever a public function is given wrongly, an error of ours says so, and no traceback.

Every name of `superpose.__all__` is called rightly, but for one argument, which is of a wrong kind.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.conftest import WriteAdapter
from tests.verbs.conftest import MODULES

import superpose
from superpose.errors import SuperposeError

WRONG: tuple[Any, ...] = (
    None, 5, 2.5, -1, float("nan"), True, "", "no such", b"x", [], [5], ["x"], [None], (), {},
    {"x": 1}, {"a"}, object(), Path(), Path("no such"), ["a", "b"],
)  # fmt: skip
"""None, numbers, texts, lists and others, few of which are anything to an argument."""

FEW = (None, float("nan"), -1, "no such", b"x", [5], {"x": 1}, object())
"""One of each, for what loads a base model."""

DELTA = superpose.Delta.of(np.ones((4, 1)), np.ones((1, 4)))
STUDY = {
    "name": "two",
    "base": "base",
    "train_rows": 8,
    "test_rows": 4,
    "domains": {"sums": {"data": "rows.jsonl"}, "coins": {"data": "rows.jsonl"}},
}

CALLS: dict[str, dict[str, Any]] = {
    "Adapter": {"deltas": {"m": DELTA}},
    "Delta": {"terms": DELTA.terms},
    "add": {"adapters": ["a", "b"], "out": "out"},
    "ask": {"base": "base", "adapters": ["a"], "prompt": "1+1?"},
    "bake": {"base": "base", "adapters": ["a"], "out": "out"},
    "check": {"adapters": ["a", "b"]},
    "cite": {},
    "compare": {
        "base": "base",
        "adapters": ["a", "b"],
        "data": ["rows.jsonl", "rows.jsonl"],
        "methods": ("average",),
        "questions": superpose.Comparing(rows=4, test_rows=4, passes=1),
    },
    "compress": {"adapters": ["a", "b"], "rank": 1},
    "cosine": {"a": "a", "b": "b"},
    "demo": {"out": 5},
    "demo_questions": {"domain": "math", "train": 2, "test": 1},
    "diff": {"a": "a", "b": "b"},
    "dupes": {"index": "library"},
    "evaluate": {"base": "base", "adapters": ["a"], "data": ["rows.jsonl"]},
    "exact_sum": {"adapters": [superpose.Adapter({"m": DELTA})]},
    "expand": {"file": "shared"},
    "extract": {"base": "base", "finetuned": "tuned", "rank": 1},
    "index": {"folders": ["library"], "out": "out"},
    "info": {"adapter": "a"},
    "input_statistics": {"base": "base", "data": "rows.jsonl"},
    "lineage": {"index": "library"},
    "load": {"name": "a"},
    "load_base": {"name": "base"},
    "merge": {"adapters": ["a", "b"]},
    "near": {"adapter": "a", "index": "library"},
    "predict": {"base": "base", "adapters": ["a", "b"], "data": ["rows.jsonl", "rows.jsonl"]},
    "push": {"adapter": "a", "to": "org/a", "dry_run": True},
    "save": {"adapter": superpose.Adapter({"m": DELTA}), "path": "out"},
    "study": {"file": STUDY, "dry_run": True},
    "train": {"base": "base", "data": "rows.jsonl", "out": "out"},
    "tune": {"base": "base", "adapters": ["a", "b"], "data": ["rows.jsonl", "rows.jsonl"]},
    "unmix": {"merged": "a", "index": "library"},
    "verify": {"base": "base", "adapters": ["a"], "result": "a"},
}

MEASURING = ("ask", "compare", "evaluate", "input_statistics", "predict", "train", "tune")
"""They load a base model, and take seconds where the argument is right after all."""

SETTINGS = [name for name in superpose.__all__ if isinstance(getattr(superpose, name), type)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once and copied for each test."""
    return tmp_path_factory.mktemp("made") / "here"


@pytest.fixture
def here(
    made: Path, write_adapter: WriteAdapter, tmp_path: Path, tiny_base: Path,
    question_files: dict[str, Path], monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """All that the calls name, in the working folder."""
    monkeypatch.chdir(tmp_path)
    if made.exists():
        shutil.copytree(made, tmp_path, dirs_exist_ok=True)
        return tmp_path
    for seed, name in enumerate("ab"):
        write_adapter(name, seed=seed, modules=MODULES, width=32, base_model="base")
    shutil.copytree(tiny_base, "base")
    shutil.copytree(tiny_base, "tuned")
    tensors = load_file("tuned/model.safetensors")
    save_file({name: 1.5 * x for name, x in tensors.items()}, "tuned/model.safetensors")
    Path("rows.jsonl").write_bytes(question_files["sums"].read_bytes())
    superpose.index(["a", "b"], "library")
    superpose.compress(["a", "b"], "shared", rank=1, form="shared")
    shutil.copytree(tmp_path, made)
    return tmp_path


def wrongly(name: str, kinds: Any) -> Iterator[tuple[str, Any, Callable[[], object]]]:
    """Give each call with one argument that is wrong: its name, what it is, and the call."""
    function, right = getattr(superpose, name), CALLS.get(name, {})
    for argument, parameter in inspect.signature(function).parameters.items():
        for wrong in kinds:
            if name == "demo" and argument == "out" and isinstance(wrong, str | Path):
                continue  # which is a folder, and minutes of training
            if parameter.kind is parameter.VAR_POSITIONAL:
                yield argument, wrong, lambda wrong=wrong: function(*right.values(), wrong)
            else:
                given = {**right, argument: wrong}
                yield argument, wrong, lambda given=given: function(**given)


def tracebacks(name: str, kinds: Any = WRONG) -> list[str]:
    """Call it with every wrong argument, and tell what was raised that is no error of ours."""
    found = []
    for argument, wrong, call in wrongly(name, kinds):
        try:
            call()
        except SuperposeError:
            pass
        except Exception as error:  # noqa: BLE001 - any is a failure
            found.append(f"{name}({argument}={wrong!r}): {type(error).__name__}: {error}")
    return found


def test_every_public_function_is_called() -> None:
    callable_ones = {name for name in superpose.__all__ if callable(getattr(superpose, name))}
    assert callable_ones == set(CALLS) | set(SETTINGS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted({*CALLS} - {"demo", *MEASURING}))
def test_rightly_called_it_answers(name: str, here: Path) -> None:
    assert getattr(superpose, name)(**CALLS[name]) is not None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted({*CALLS, *SETTINGS} - {*MEASURING}))
def test_no_wrong_kind_brings_a_traceback(name: str, here: Path) -> None:
    assert tracebacks(name) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kinds", [FEW, pytest.param(WRONG, marks=pytest.mark.hard)], ids=len)
@pytest.mark.parametrize("name", MEASURING)
def test_no_wrong_kind_brings_a_traceback_where_a_base_is_loaded(
    name: str, kinds: tuple[Any, ...], here: Path
) -> None:
    assert getattr(superpose, name)(**CALLS[name]) is not None
    shutil.rmtree("out", ignore_errors=True)
    assert tracebacks(name, kinds) == []
