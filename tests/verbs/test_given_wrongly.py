"""What a verb is given wrongly is refused with the argument's name, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import WriteAdapter

import superpose
from superpose.compose import Ties
from superpose.errors import BadInput, BadSetting


@pytest.fixture
def a(write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_adapter("a")
    monkeypatch.chdir(folder.parent)
    return folder


@pytest.mark.parametrize("adapters", [None, 5, {"a"}], ids=repr)
def test_what_is_no_list_of_adapters_is_refused(a: Path, adapters: Any) -> None:
    for verb in (superpose.merge, superpose.check):
        with pytest.raises(BadSetting) as refused:
            verb(adapters)
        assert refused.value.where == "adapters"


@pytest.mark.parametrize("name", [None, 5, ["a"], ("a", 0.5)], ids=repr)
def test_what_is_no_name_of_an_adapter_is_refused(a: Path, name: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: superpose.load(name),
        lambda: superpose.info(name),
        lambda: superpose.diff("a", name),
        lambda: superpose.add(["a", name], "out"),
    ]
    for call in calls:
        with pytest.raises(BadInput, match="is no adapter: neither a name nor a path"):
            call()
    assert not Path("out").exists()


def test_task_weights_are_not_dropped_where_a_verb_takes_none(a: Path) -> None:
    with pytest.raises(BadSetting, match="task weights, which are not taken here"):
        superpose.check({"a": 1.0, str(a): 2.0})  # type: ignore[arg-type]


@pytest.mark.parametrize("weights", [1.0, ["x"], [None], {"a": "x"}, {"a": None}, {2.0}], ids=repr)
def test_what_is_no_task_weight_is_refused(a: Path, weights: Any) -> None:
    with pytest.raises(BadSetting) as refused:
        superpose.add(["a"], "out", weights)
    assert refused.value.where == "weights"
    assert not Path("out").exists()


def test_task_weights_may_come_from_a_generator(a: Path) -> None:
    merged = superpose.merge(["a"], (weight for weight in [2.0]))  # type: ignore[arg-type]
    assert [parent.weight for parent in merged.parents] == [2.0]


@pytest.mark.parametrize(
    ("where", "given"),
    [
        ("method", {"method": "ties"}),
        ("method", {"method": None}),
        ("method", {"method": Ties}),
        ("method", {"method": Ties, "rank": 2}),
        ("rank", {"rank": "8"}),
        ("writing", {"writing": {"dtype": "float16"}}),
        ("writing", {"writing": None}),
        ("base", {"base": 5}),
    ],
)
def test_an_argument_of_another_kind_is_named(a: Path, where: str, given: dict[str, Any]) -> None:
    with pytest.raises(BadSetting) as refused:
        superpose.add(["a"], "out", **given)
    assert refused.value.where == where
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("settings", "where", "value"),
    [
        (superpose.Answering, "max_new_tokens", 0),
        (superpose.Answering, "max_new_tokens", "2"),
        (superpose.Answering, "temperature", -1.0),
        (superpose.Answering, "temperature", float("nan")),
        (superpose.Answering, "seed", 2**70),
        (superpose.Answering, "template", 5),
        (superpose.TestQuestions, "seed", -1),
        (superpose.TestQuestions, "rows", "x"),
        (superpose.TestQuestions, "rows", 1.5),
        (superpose.Calibration, "max_tokens", 2.5),
        (superpose.TrainingQuestions, "seed", True),
        (superpose.Loading, "ignore_keys", "use_dora"),
        (superpose.Writing, "compact", "no"),
        (superpose.Goal, "least", "x"),
    ],
)
def test_a_setting_out_of_range_or_of_another_type_is_named(
    settings: Callable[..., object], where: str, value: Any
) -> None:
    with pytest.raises(BadSetting) as refused:
        settings(**{where: value})
    assert refused.value.where == where


@pytest.mark.parametrize(
    ("where", "call"),
    [
        ("base", lambda: superpose.ask(5, "a", "?")),  # type: ignore[arg-type]
        ("answering", lambda: superpose.ask("x", "a", "?", 64)),  # type: ignore[arg-type]
        ("prompt", lambda: superpose.ask("x", "a", None)),  # type: ignore[arg-type]
        ("prompt", lambda: superpose.ask("x", "a", [5])),  # type: ignore[list-item]
        ("data", lambda: superpose.evaluate("x", "a", [])),
        ("data", lambda: superpose.evaluate("x", "a", None)),  # type: ignore[arg-type]
        ("data", lambda: superpose.evaluate("x", "a", [5])),  # type: ignore[list-item]
        ("adapters", lambda: superpose.tune("x", [], [])),
        ("goal", lambda: superpose.tune("x", ["a"], [], "worst")),  # type: ignore[arg-type]
    ],
)
def test_a_measuring_verb_names_the_argument_before_a_base_is_asked_for(
    a: Path, where: str, call: Callable[[], object]
) -> None:
    with pytest.raises(BadSetting) as refused:
        call()
    assert refused.value.where == where


def test_the_shell_names_the_option(a: Path, superpose: Any) -> None:
    for option, value in {"--max-new-tokens": 0, "--temperature": -1, "--seed": -1}.items():
        done = superpose("ask", "smollm2", "a", "-p", "hi", option, value, cwd=a.parent)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {option}: ")


def test_merge_names_a_method_that_is_none(a: Path) -> None:
    with pytest.raises(BadSetting) as refused:
        superpose.merge(["a"], method="ties")  # type: ignore[arg-type]
    assert refused.value.where == "method"


def test_one_text_does_not_ignore_every_key_that_is_part_of_it(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a", new_key=1)
    for verb in (superpose.load, superpose.info):
        with pytest.raises(BadSetting, match="ignore_keys: 'other_new_key' is no list of texts"):
            verb(folder, ignore_keys="other_new_key")
    assert superpose.load(folder, ignore_keys=["new_key"]).name == "a"


def test_a_training_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    rows = [{"question": "1+1?", "answer": "2"}]
    wrong: dict[str, dict[str, Any]] = {
        "lora: .* is no LoraSettings": {"lora": {"rank": 4}},
        "training: 5 is no TrainingSettings": {"training": 5},
        "questions: .* is no Questions": {"questions": {"rows": 4}},
        "resume: .* is no checkpoint of the Trainer": {"resume": tmp_path},
    }
    for message, settings in wrong.items():
        with pytest.raises(BadSetting, match=message):
            superpose.train("no-such-base", rows, tmp_path / "out", **settings)
    with pytest.raises(BadSetting, match=r"directions: 2.5 is no whole number"):
        superpose.input_statistics("no-such-base", rows, directions=2.5)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
