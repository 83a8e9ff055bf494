"""The base is the adapters' own where it is left out; words at the wrong place are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.conftest import WriteAdapter

import superpose
from superpose.cli.base_apart import base_apart
from superpose.errors import BadInput, BadSetting, DifferentBase, MissingBase
from superpose.files import embedded
from superpose.verbs.notes import heard_by

MODULES = tuple(f"model.layers.{n}.self_attn.q_proj" for n in range(2))


@pytest.fixture
def pair(
    write_adapter: WriteAdapter, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Two adapters that name the tiny base, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("sums", "coins")):
        write_adapter(
            name, seed=seed, modules=MODULES, width=32, alpha=0.1, base_model=str(tiny_base)
        )
    return ["sums", "coins"]


COMMANDS = {
    "eval": ("--rows", 4),
    "predict": ("--rows", 4, "--method", "none"),
    "tune": ("--rows", 4),
    "compare": ("--rows", 4, "--test-rows", 4, "--passes", 1, "--methods", "average"),
}


def timeless(text: str) -> object:
    """JSON without what no two runs share."""
    found = json.loads(text)
    for key in ("calibration", "plan", "ranked", "methods", "references"):
        found.pop(key, None)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_base_a_command_takes_the_one_that_the_adapters_name(
    command: str, pair: list[str], tiny_base: Path, question_files: dict[str, Path], run: Run
) -> None:
    data = [word for path in question_files.values() for word in ("--data", path)]
    words = [*pair, *data, *COMMANDS[command], "--json"]
    named, left_out = run(command, tiny_base, *words), run(command, *words)
    assert (named.code, left_out.code) == (0, 0), left_out.err
    assert timeless(left_out.out) == timeless(named.out)
    assert f"note: base model {tiny_base}, which the adapters name" in left_out.err
    assert "which the adapters name" not in named.err


def test_a_weight_or_a_sum_at_the_first_place_is_an_adapters(
    pair: list[str], tiny_base: Path, run: Run
) -> None:
    words = ["-p", "1+1?", "--max-new-tokens", 2, "--json", "-q"]
    named = run("ask", tiny_base, "sums", "coins:0.5", *words)
    for first in (["sums", "coins:0.5"], ["sums + 0.5*coins"]):
        left_out = run("ask", *first, *words)
        assert left_out.code == 0, left_out.err
        assert json.loads(left_out.out) == json.loads(named.out)
    alone = run("ask", "coins:0.5", *words)
    assert alone.code == 0, alone.err


def test_in_python_none_stands_for_the_adapters_own(
    pair: list[str], tiny_base: Path, question_files: dict[str, Path]
) -> None:
    heard: list[str] = []
    few = superpose.TestQuestions(rows=4)
    with heard_by(lambda _, text: heard.append(text)):
        found = superpose.evaluate(None, pair, question_files, questions=few)
    assert found.base == str(tiny_base)
    assert heard == [f"base model {tiny_base}, which the adapters name"]
    named = superpose.evaluate(tiny_base, pair, question_files, questions=few)
    assert found.to_json() == named.to_json()


def test_where_the_adapters_name_no_one_base_that_is_said(
    pair: list[str], write_adapter: WriteAdapter, question_files: dict[str, Path]
) -> None:
    write_adapter("other", modules=MODULES, width=32, base_model="org/other")
    write_adapter("silent", modules=MODULES, width=32, base_model="")
    with pytest.raises(DifferentBase):
        superpose.evaluate(None, ["sums", "other"], question_files)
    with pytest.raises(MissingBase, match=r"The adapters name it") as missing:
        superpose.evaluate(None, ["other"], question_files)
    assert missing.value.hint is not None
    assert missing.value.hint.startswith("Say where it is, before the adapters: BASE ADAPTER")
    with pytest.raises(BadSetting, match="no adapter names its base model"):
        superpose.evaluate(None, ["silent"], question_files)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            ("predict", "--data", "sums.jsonl", "coins.jsonl", "sums", "coins"),
            "coins.jsonl: a question file stands among the adapters",
            "--data FIRST --data coins.jsonl",
        ),
        (
            ("eval", "BASE", "sums", "coins", "--data", "sums.jsonl", "coins.csv"),
            "coins.csv: a question file stands among the adapters",
            "--data FIRST --data coins.csv",
        ),
        (
            ("ask", "BASE", "sums", "coins", "-p", "1?", "--weights", "1", "0.5"),
            "0.5: a number stands among the adapters",
            "--weights 1,0.5",
        ),
        (
            ("tune", "BASE", "--data", "sums.jsonl"),
            "the first name is the base model, and no adapter stands behind it",
            "BASE ADAPTER ...",
        ),
        (
            ("train", "BASE", "sums.jsonl", "-o", "out", "--targets", "q_proj", "v_proj"),
            "v_proj: stands among the question files",
            "--targets q_proj,v_proj",
        ),
        (
            ("compare", "BASE", "sums", "coins", "-d", "a", "-d", "b", "--methods", "sum", "ties"),
            "ties: stands among the adapters",
            "--methods sum,ties",
        ),
        (
            ("bake", "BASE", "-o", "out"),
            "the first name is the base model, and no adapter stands behind it",
            "BASE ADAPTER ...",
        ),
        (
            ("add", "sums", "coins", "--weights", "1", "0.5", "-o", "out"),
            "--weights: 3 adapters and 1 task weight",
            "as one word: 1,0.5",
        ),
    ],
)
def test_a_word_beyond_an_options_one_value_is_named_with_the_way_out(
    words: tuple[str, ...], message: str, hint: str, pair: list[str], tiny_base: Path,
    question_files: dict[str, Path], run: Run,
) -> None:  # fmt: skip
    ended = run(*(str(tiny_base) if word == "BASE" else word for word in words))
    assert ended.code == 2
    assert message in ended.err
    assert hint in ended.err


def test_bake_and_verify_take_the_base_that_the_adapters_name(
    pair: list[str], tiny_base: Path, tmp_path: Path, run: Run
) -> None:
    for words in (("sums", "coins:0.5"), ("sums + 0.5*coins",)):
        named = run("bake", tiny_base, *words, "-o", "named", "--force")
        left_out = run("bake", *words, "-o", "left out", "--force")
        assert (named.code, left_out.code) == (0, 0), left_out.err
        assert left_out.err == f"note: base model {tiny_base}, which the adapters name\n"
        one, other = (Path(folder, "model.safetensors") for folder in ("named", "left out"))
        assert one.read_bytes() == other.read_bytes()
        proved = run("verify", *words, "left out")
        assert (proved.code, proved.err) == (0, left_out.err)
    assert run("verify", "coins", "left out").code == 1
    alone = run("verify", "sums", "left out")
    assert alone.code == 1, "one adapter and a result are no base and an adapter"


def test_an_adapter_of_the_embedded_model_says_how_that_is_named(
    write_adapter: WriteAdapter, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUPERPOSE_CACHE", str(tmp_path / "cache"))
    write_adapter("math", base_model="HuggingFaceTB/SmolLM2-135M-Instruct")
    ended = run("bake", "math", "-o", "out")
    assert ended.code == 3
    assert "For adapters trained on smollm2, which goes by that name: smollm2 ADAPTER" in ended.err


def test_where_the_embedded_model_is_here_the_name_that_adapters_have_for_it_is_its_own(
    write_adapter: WriteAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In what is to be typed next, and where the base is left out."""
    from superpose.files.base import name_at_hand

    monkeypatch.setenv("SUPERPOSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    named = "HuggingFaceTB/SmolLM2-135M-Instruct"
    monkeypatch.setattr(embedded, "converted", lambda: None)
    assert name_at_hand(named) == named
    monkeypatch.setattr(embedded, "converted", lambda: tmp_path)
    assert name_at_hand(named) == "smollm2"
    for other in (f"{named}@v1", f"{named}-more", "org/other", str(tmp_path)):
        assert name_at_hand(other) == other
    for seed, name in enumerate(("math", "law")):
        write_adapter(name, seed=seed, base_model=named)
    (pair,) = superpose.check(tmp_path / "math", tmp_path / "law").pairs
    assert pair.judgement.next is None or named not in pair.judgement.next
    assert pair.typed.base == "smollm2"


def test_what_can_be_a_base_model_is_one(pair: list[str], tiny_base: Path, tmp_path: Path) -> None:
    for name in ("smollm2", str(tiny_base), "org/name", "org/name@v1", "https://hub.org/org/name"):
        assert base_apart(name, pair) == (name, pair)
    assert base_apart("sums", ["coins"]) == (None, pair)
    assert base_apart("sums", None) == (None, ["sums"])
    (tmp_path / "lora.safetensors").write_bytes(b"")
    assert base_apart("lora.safetensors", ["sums"]) == (None, ["lora.safetensors", "sums"])
    with pytest.raises(BadInput, match="no adapter stands behind it"):
        base_apart("smollm2", None)
