"""Statistics are measured once, lie beside the adapter, and are in nobody's way there."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import superpose
from superpose.cli.app import main
from superpose.compose import RegMean, RegMeanTuned, Ssr, TunedSum
from superpose.data.input_statistics import InputStatistics
from superpose.errors import BadSetting, DifferentBase, OutputExists
from superpose.files.file_format import INPUT_STATISTICS
from superpose.lowrank import dense

FEW = superpose.InputQuestions(rows=6)


def measured(base: Path, data: Path, out: Path, *words: object) -> Any:
    with pytest.raises(SystemExit) as end:
        main(["statistics", *map(str, (base, data, "-o", out, "--rows", 6, *words))])
    return end.value.code


def test_the_command_writes_what_the_verb_gives(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data = question_files["sums"]
    found = superpose.input_statistics(tiny_base, data, adapters[0], FEW, directions=5)
    assert not measured(tiny_base, data, adapters[0], "--directions", 5, "--json", "--force")
    said = json.loads(capsys.readouterr().out)
    path = adapters[0] / INPUT_STATISTICS
    assert said == {
        "schema": 1,
        **found.to_json(),
        "output": str(path),
        "bytes": path.stat().st_size,
    }
    assert said["rows"] == 6
    written = InputStatistics.load(adapters[0])
    assert list(written) == list(found.statistics)
    assert set(superpose.load(adapters[0])) == set(written)
    for name, moment in written.items():
        np.testing.assert_allclose(moment.values, found.statistics[name].values, rtol=1e-5)


def test_rows_in_memory_and_a_loaded_base_give_the_same(
    tiny_base: Path, question_files: dict[str, Path]
) -> None:
    from superpose.model import load_base

    data = question_files["sums"]
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    one = superpose.input_statistics(tiny_base, data, questions=FEW)
    other = superpose.input_statistics(load_base(tiny_base), rows, questions=FEW)
    for name, moment in one.statistics.items():
        assert moment.trace == pytest.approx(other.statistics[name].trace)


def test_an_adapter_with_statistics_is_read_and_added_as_before(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path], tmp_path: Path
) -> None:
    plain = superpose.load(adapters[0])
    superpose.input_statistics(tiny_base, question_files["sums"], adapters[0], FEW)
    found = superpose.load(adapters[0])
    assert found.beside == plain.beside
    assert superpose.add([adapters[0]], tmp_path / "copy").exact
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_base)
    assert PeftModel.from_pretrained(base, adapters[0]).peft_config["default"].r == 2


def test_statistics_of_the_base_merge_adapters_better_than_the_sum(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path]
) -> None:
    """Better by what the regression minimises: the error on each domain's inputs."""
    parts = [superpose.load(path) for path in adapters]
    found = [
        superpose.input_statistics(tiny_base, data, questions=FEW, directions=1000).statistics
        for data in question_files.values()
    ]
    merged = superpose.merge(parts, method=RegMean(tuple(found)))

    def error(total: superpose.Adapter) -> float:
        errors = []
        for part, moments in zip(parts, found, strict=True):
            for key, delta in (total - part).items():
                D = np.asarray(dense(delta.terms), np.float64)
                errors.append(float(np.sum(moments[key].times(D) * D)))
        return sum(errors)

    assert error(merged) < error(sum(parts[1:], start=parts[0]))
    assert error(merged) < error(superpose.merge(parts, [0.5, 0.5]))


def test_what_cannot_be_is_refused_before_the_base_is_loaded(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data = question_files["sums"]
    with pytest.raises(BadSetting, match="0 is below 1"):
        superpose.input_statistics("no-such-base", data, directions=0)
    superpose.input_statistics(tiny_base, data, adapters[0], FEW)
    with pytest.raises(OutputExists):
        superpose.input_statistics("no-such-base", data, adapters[0], FEW)
    assert measured(tiny_base, data, adapters[0], "--force") in (0, None)
    assert measured(tiny_base, data, adapters[0], "--directions", 0) == 2
    assert "--directions: 0 is below 1" in capsys.readouterr().err


def test_add_merges_with_what_lies_beside_the_adapters(
    tiny_base: Path, adapters: list[Path], question_files: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = ["add", *map(str, adapters), "--method", "regmean", "--ridge", "0.01", "-o"]
    with pytest.raises(SystemExit) as end:
        main([*words, str(tmp_path / "none")])
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert (
        f"--data: `regmean` needs statistics of each adapter's domain, and beside `{adapters[0]}`"
        in said
    )
    assert not (tmp_path / "none").exists()
    for data, adapter in zip(question_files.values(), adapters, strict=True):
        superpose.input_statistics(tiny_base, data, adapter, FEW)
    with pytest.raises(SystemExit) as end:
        main([*words, str(tmp_path / "both")])
    assert not end.value.code, capsys.readouterr().err
    assert "the regression of deltas" in capsys.readouterr().out
    written = superpose.load(tmp_path / "both")
    found = tuple(InputStatistics.load(path) for path in adapters)
    parts = [superpose.load(path) for path in adapters]
    expected = superpose.merge(parts, method=RegMean(found, 0.01))
    for key, delta in expected.items():
        one, other = (np.asarray(dense(d.terms), np.float64) for d in (delta, written[key]))
        assert np.abs(one - other).max() < 1e-5 * np.abs(one).max()


@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), ("v_proj",), ("down_proj",)])
def test_an_adapter_is_trained_with_its_statistics_which_are_smaller_than_one_of_rank_16(
    targets: tuple[str, ...], tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    out, data = tmp_path / "trained", question_files["sums"]
    settings = (
        superpose.LoraSettings(rank=2, targets=targets),
        superpose.TrainingSettings(epochs=1),
    )
    asked = superpose.TrainingQuestions(rows=6)
    superpose.train(tiny_base, data, out, *settings, asked, statistics=True)
    adapter, found = superpose.load(out), InputStatistics.load(out)
    assert set(found) == set(adapter)
    numbers = sum(16 * sum(delta.shape) for delta in adapter.values())
    header = 8 + int.from_bytes((out / INPUT_STATISTICS).read_bytes()[:8], "little")
    assert (out / INPUT_STATISTICS).stat().st_size - header <= 4 * numbers
    questions = superpose.InputQuestions(rows=6)
    right = superpose.input_statistics(tiny_base, data, questions=questions, directions=200)
    for name in adapter:
        assert found[name].trace == pytest.approx(right.statistics[name].trace, rel=1e-3)
    assert superpose.merge([out], None, RegMean((found,))).norm() <= adapter.norm()
    superpose.train(tiny_base, data, out, *settings, asked, force=True)
    assert not (out / INPUT_STATISTICS).exists(), "those of another training do not stay"


PLACES = [(n, part) for n in range(2) for part in ("self_attn.q", "self_attn.o", "mlp.down")]
WIDTHS = {"self_attn.q": (32, 32), "self_attn.o": (32, 32), "mlp.down": (32, 48)}


def adapter_of(
    folder: Path, parts: tuple[str, ...], prefix: str = "model.", dtype: str = "float32",
    base: str = "tiny-llama",
) -> Path:  # fmt: skip
    """Write an adapter of rank 1 of some modules of the tiny base."""
    rng = np.random.default_rng(3)
    deltas = {
        f"{prefix}layers.{n}.{part}_proj": superpose.Delta.of(
            *(rng.standard_normal(shape) for shape in ((WIDTHS[part][0], 1), (1, WIDTHS[part][1])))
        )
        for n, part in PLACES
        if part in parts
    }
    superpose.save(superpose.Adapter(deltas, folder.name, base), folder, dtype=dtype)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("parts", [("self_attn.q",), ("self_attn.q", "mlp.down"), tuple(WIDTHS)])
@pytest.mark.parametrize("prefix", ["model.", "", "language_model.model."])
def test_beside_an_adapter_they_are_of_its_modules_and_no_larger_than_it_at_rank_16(
    prefix: str, parts: tuple[str, ...], dtype: str, tiny_base: Path,
    question_files: dict[str, Path], tmp_path: Path,
) -> None:  # fmt: skip
    out = adapter_of(tmp_path / "mine", parts, prefix, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", superpose.errors.SuperposeWarning)  # of other names
        found = superpose.input_statistics(tiny_base, question_files["sums"], out, FEW)
    adapter = superpose.load(out)
    assert len(found.statistics) == len(adapter)
    assert all(key in found.statistics for key in adapter)
    header = 8 + int.from_bytes((out / INPUT_STATISTICS).read_bytes()[:8], "little")
    numbers = sum(16 * sum(delta.shape) for delta in adapter.values())
    assert found.bytes - header <= numbers * (4 if dtype == "float32" else 2)
    merged = superpose.merge([out, out], method=RegMean())
    assert 0.0 < merged.norm() <= adapter.norm() * 1.001


def test_beside_an_adapter_of_another_shape_none_are_written(
    tiny_base: Path, question_files: dict[str, Path], write_adapter: Any
) -> None:
    narrow = write_adapter("narrow", base_model="tiny-llama")
    elsewhere = write_adapter("elsewhere", modules=("model.layers.7.mlp.up_proj",), width=32)
    for folder, said in ((narrow, "8 inputs, and the base model 32"), (elsewhere, "no such")):
        with pytest.raises(DifferentBase, match=said):
            superpose.input_statistics(tiny_base, question_files["sums"], folder, FEW)
        assert not (folder / INPUT_STATISTICS).exists()


@pytest.mark.parametrize(
    ("theirs", "ours", "passes"),
    [
        ("org/tiny-llama", "tiny-llama", True),
        ("TinyLlama", "/models/tiny-llama", True),
        ("model", "tiny-llama", True),
        ("org/other", "tiny-llama", False),
    ],
)
def test_statistics_of_another_base_model_are_refused_unless_it_is_said_to_be_one(
    theirs: str, ours: str, passes: bool, tiny_base: Path, question_files: dict[str, Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    out = adapter_of(tmp_path / "mine", ("self_attn.q",), base=theirs)
    found = superpose.input_statistics(tiny_base, question_files["sums"], None, FEW).statistics
    replace(found, base_model=ours).save(out / INPUT_STATISTICS)
    if passes:
        assert superpose.merge([out], method=RegMean()).norm() > 0.0
        return
    for method in (RegMean(), Ssr(), RegMean((InputStatistics.load(out),))):
        with pytest.raises(DifferentBase, match="are of `tiny-llama`, and the adapter is of `org"):
            superpose.merge([out], method=method)
    assert superpose.merge([out], method=RegMean(), same_base=True).norm() > 0.0
    with pytest.raises(SystemExit) as end:
        main(["add", str(out), "--method", "ssr", "-o", str(tmp_path / "sum")])
    assert end.value.code == 2
    assert not (tmp_path / "sum").exists()


def test_layers_that_text_does_not_reach_are_left_out_of_a_base_models(
    tiny_base: Path, question_files: dict[str, Path]
) -> None:
    from torch import nn

    from superpose.model import load_base

    base = load_base(tiny_base)
    base.model.vision = nn.Linear(3, 3)
    found = superpose.input_statistics(base, question_files["sums"], None, FEW).statistics
    assert "vision" not in found
    assert len(found) == 14


@pytest.mark.parametrize("method", [RegMean(), Ssr()])
def test_questions_alone_are_enough(method: RegMean | Ssr, tiny_base: Path, adapters: list[Path],
                                    tmp_path: Path) -> None:  # fmt: skip
    """Of rows that have answers and choices too the same is taken."""
    texts = [f"What is {n}?" for n in range(6)]
    forms = [
        [{"question": text} for text in texts],
        [{"question": text, "answer": "n", "choices": ["n", "o"]} for text in texts],
    ]
    alone = superpose.InputQuestions(answer="", template="{question}")
    ways = [superpose.input_statistics(tiny_base, rows, None, alone).statistics for rows in forms]
    for known in ways[1:]:
        assert known.tokens == ways[0].tokens
        for module, moment in known.items():
            assert moment.trace == pytest.approx(ways[0][module].trace, rel=1e-6)
    asked = superpose.MergeQuestions(answer="", template="{question}")
    merged = superpose.merge(
        adapters, method=method, data=forms[:2], questions=asked, base=tiny_base
    )  # fmt: skip
    right = superpose.merge(adapters, method=replace(method, statistics=(ways[0], ways[0])))
    assert (merged - right).norm() < 0.05 * right.norm()


@pytest.mark.parametrize("method", [TunedSum(), RegMeanTuned()])
def test_what_fits_weights_to_answers_does_not_take_questions_alone(
    method: TunedSum | RegMeanTuned, tiny_base: Path, adapters: list[Path]
) -> None:
    rows = [{"question": "What?"}] * 4
    asked = superpose.MergeQuestions(answer="")
    with pytest.raises(BadSetting, match="fits weights to answers") as caught:
        superpose.merge(adapters, method=method, data=[rows] * 2, questions=asked, base=tiny_base)
    assert caught.value.where == "answer"


def test_everything_else_asks_for_answers_and_says_what_does_not(
    tiny_base: Path, adapters: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "What?"}\n' * 4, encoding="utf-8")
    for words in (["eval", tiny_base, adapters[0]], ["predict", tiny_base, adapters[0]],
                  ["compare", tiny_base, adapters[0]], ["statistics", tiny_base]):  # fmt: skip
        data = [rows, "-o", tmp_path / "s"] if words[0] == "statistics" else ["--data", rows]
        for more in ([], ["--answer", ""]) if words[0] != "statistics" else ([],):
            with pytest.raises(SystemExit) as end:
                main([*map(str, (*words, *data)), *more])
            said = " ".join(capsys.readouterr().err.split())
            assert end.value.code == 2
            assert "rows.jsonl, line 1: no text under" in said
            assert "takes questions alone with --answer ''" in said
