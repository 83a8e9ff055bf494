"""train, eval, ask and study from the command line, on a tiny model, in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run


@pytest.fixture
def trained(run: Run, tiny_base: Path, question_files: dict[str, Path], tmp_path: Path) -> Path:
    """A folder with an adapter for each of the two domains."""
    for name, path in question_files.items():
        ended = run(
            *("train", tiny_base, path, "-o", tmp_path / name, "--targets", "q_proj,v_proj"),
            *("--rank", 2, "--epochs", 1, "--lr", 0.02, "--max-tokens", 80, "--dropout", 0),
        )
        assert ended.code == 0, ended.err
        assert "tokens/s" in ended.err
        assert ended.out == ""
    return tmp_path


def test_train_says_as_json_what_it_did(
    run: Run, tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    ended = run(
        *("train", tiny_base, *question_files.values(), "-o", tmp_path / "both", "--json"),
        *("--targets", "q_proj", "--rows", 16, "--trainer", "max_grad_norm=5e-1"),
    )
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["rows"] == 16
    assert (tmp_path / "both" / "adapter_model.safetensors").exists()


def test_eval_gives_every_subset_on_every_domain(
    run: Run, tiny_base: Path, question_files: dict[str, Path], trained: Path
) -> None:
    data = [arg for path in question_files.values() for arg in ("--data", path)]
    adapters = [trained / "sums", f"{trained / 'coins'}:0.5"]
    ended = run("eval", tiny_base, *adapters, *data, "--max-tokens", 80, "--json")
    assert ended.code == 0, ended.err
    rows = json.loads(ended.out)["evaluations"]
    assert [(row["method"], row["domain"]) for row in rows] == [
        (method, domain)
        for method in ("base", "single", "single", "sum")
        for domain in ("sums", "coins")
    ]
    assert rows[-1]["weights"] == {"sums": 1.0, "coins": 0.5}
    for row in rows:
        assert row["tokens"] > 0
        assert row["perplexity_low"] <= row["perplexity"] <= row["perplexity_high"]
    short = run("eval", tiny_base, *adapters, *data, "--max-tokens", 40, "--only", "sum")
    assert "answers are cut at 40 tokens" in short.err
    table = run("eval", tiny_base, *adapters, *data, "--max-tokens", 80, "--only", "sum")
    assert "sums + 0.5 coins" in table.out


def test_ask_answers_with_base_singles_and_the_sum(
    run: Run, tiny_base: Path, trained: Path
) -> None:
    arguments = ("ask", tiny_base, trained / "sums", trained / "coins", "--max-new-tokens", 4)
    ended = run(*arguments, "--prompt", "What is 1 plus 1?", "--json")
    assert ended.code == 0, ended.err
    answers = json.loads(ended.out)["answers"]
    assert [answer["method"] for answer in answers] == ["base", "single", "single", "sum"]
    again = run(*arguments, "-p", "a?", "-p", "b?", "--temperature", 0.7, "--seed", 3)
    assert again.code == 0, again.err
    assert run(*arguments, "-p", "a?", "-p", "b?", "--temperature", 0.7, "--seed", 3) == again


def test_a_study_runs_goes_on_and_says_where_it_stands(
    run: Run, tiny_base: Path, question_files: dict[str, Path], tmp_path: Path
) -> None:
    # Paths in a study file are relative to its own folder.
    domains = "".join(f"  {n}: {{data: {p.name}}}\n" for n, p in question_files.items())
    file = tmp_path / "study.yaml"
    file.write_text(
        f"name: tiny\nbase: {tiny_base}\ndomains:\n{domains}train_rows: 8\ntest_rows: 4\n"
        "seeds: [0]\nprompt: {max_tokens: 80}\nlora: {rank: 2, targets: [q_proj]}\n"
        "training: {batch_size: 4}\n"
    )
    arguments = ("study", file, "--out", tmp_path / "run")
    looked_at = run(*arguments, "--dry-run")
    assert "0 of 7 cells are done" in looked_at.out
    assert "tokens a second in training" in looked_at.out
    ended = run(*arguments)
    assert ended.code == 0, ended.err
    assert "sums + coins" in ended.out
    assert "prove" in ended.out
    stands = json.loads(run(*arguments, "--dry-run", "--json").out)
    assert (stands["cells"], stands["done"]) == (7, 7)
    assert stands["left"] == {"training_tokens": 0, "forward_tokens": 0, "hours": 0}
    summary = json.loads(run(*arguments, "--json").out)
    assert summary["seeds"] == [0]
    file.write_text(file.read_text().replace("rank: 2", "rank: 3"))
    for refused in (run(*arguments), run(*arguments, "--dry-run")):
        assert refused.code == 2
        assert "another study; it differs in lora.rank" in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("train", "{base}", "{tmp}/none.jsonl", "-o", "{tmp}/x"), 2, "no such question file"),
        (("train", "{tmp}", "{rows}", "-o", "{tmp}/x"), 2, "no causal language model"),
        (("train", "no/such-base", "{rows}", "-o", "{tmp}/x"), 3, "is not here"),
        (("train", "{base}", "{rows}", "-o", "{tmp}"), 2, "already exists"),
        (("train", "{base}", "{rows}", "-o", "{tmp}/x", "--rank", "0"), 2, "--rank: Input should"),
        (("train", "{base}", "{rows}", "-o", "{tmp}/x", "--rows", "0"), 2, "--rows"),
        (("train", "{base}", "{rows}", "-o", "{tmp}/x", "--trainer", "a"), 2, "not KEY=VALUE"),
        (("train", "{base}", "demo:math", "-o", "{tmp}/x"), 2, "no such question file"),
        (("eval", "{base}", "{tmp}/no", "--data", "{rows}"), 2, "{tmp}/no"),
        (("ask", "{base}", "{tmp}/no", "--prompt", "a"), 2, "{tmp}/no"),
        (("study", "{tmp}/none.yaml"), 2, "no such study file"),
    ],
)
def test_bad_input_ends_with_a_message_and_writes_nothing(
    run: Run,
    tiny_base: Path,
    question_files: dict[str, Path],
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    before = sorted(tmp_path.rglob("*"))
    names = {"base": tiny_base, "rows": question_files["sums"], "tmp": tmp_path}
    ended = run(*(argument.format(**names) for argument in arguments))
    assert ended.code == code, ended.err
    assert message.format(**names) in ended.err
    assert ended.err.startswith("error: ")
    assert sorted(tmp_path.rglob("*")) == before
