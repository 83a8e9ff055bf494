"""`--heads`: what a refusal names as the way out works, and what was done is said."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
from safetensors.numpy import load_file
from tests.baking.classifiers import (
    answers,
    by_peft,
    classifier,
    loaded_whole,
    make_base,
    make_classifier,
)
from tests.baking.conftest import told_by_peft
from tests.cli.conftest import Run
from tests.pasted import follow


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A base without a head, and two classifiers of it with three and five labels."""
    base = make_base("bert", tmp_path / "base")
    a, b = (make_classifier("bert", base, tmp_path / n, k, seed=k) for n, k in (("a", 3), ("b", 5)))
    return base, a, b


def test_check_and_diff_compare_what_is_below_heads_for_other_labels(
    pair: tuple[Path, Path, Path], run: Run
) -> None:
    _, a, b = pair
    checked = run("check", a, b)
    assert checked.code == 0, checked.err
    assert "2 of a head: heads are not compared" in " ".join(checked.out.split())
    assert json.loads(run("check", a, b, "--json").out)["adapters"][0]["heads"] == 2
    assert run("diff", a, b).code == 1
    copied = run("add", f"{a}:1", "-o", a.parent / "copy", "--heads", "none")
    assert copied.code == 0, copied.err
    assert "heads are left out: classifier.bias, classifier.weight of a" in copied.err
    same = run("diff", a, a.parent / "copy", "--heads", "none")
    assert same.code == 0, same.out


def test_add_refuses_heads_that_have_no_sum_and_each_way_out_that_it_names_works(
    pair: tuple[Path, Path, Path], run: Run, tmp_path: Path
) -> None:
    base, a, b = pair
    refused = run("add", a, f"{b}:0.5", "-o", tmp_path / "sum")
    assert refused.code == 2
    assert "--heads none" in refused.err
    assert "--heads NAME" in refused.err
    for heads, labels in (("none", 0), ("a", 3), ("2", 5)):
        out = tmp_path / f"sum-{heads}"
        done = run("add", a, f"{b}:0.5", "-o", out, "--heads", heads)
        assert done.code == 0, done.err
        assert ("heads are left out" if heads == "none" else "the head is") in done.err
        key = "base_model.model.classifier.weight"
        found = load_file(out / "adapter_model.safetensors").get(key)
        assert (0 if found is None else len(found)) == labels
        proven = run("verify", base, a, f"{b}:0.5", out, "--heads", heads)
        assert proven.code == 0, proven.err
    assert "heads | left out" in (tmp_path / "sum-none/README.md").read_text()


def test_peft_takes_a_sum_with_one_adapters_head_as_that_adapters_classifier(
    pair: tuple[Path, Path, Path], run: Run, tmp_path: Path
) -> None:
    base, a, b = pair
    assert run("add", a, f"{b}:0.5", "-o", tmp_path / "sum", "--heads", "b").code == 0
    assert (
        run("bake", base, a, f"{b}:0.5", "-o", tmp_path / "model", "--heads", "b", "-q").code == 0
    )
    assert run("verify", base, a, f"{b}:0.5", tmp_path / "model", "--heads", "b", "-q").code == 0
    right = classifier(base, 5).state_dict()
    changed = {}
    for path, labels, weight in ((a, 3, 1.0), (b, 5, 0.5)):
        with told_by_peft():
            plain = classifier(base, labels)
            before = {k: v.clone() for k, v in plain.state_dict().items()}
            after = peft.PeftModel.from_pretrained(plain, path).merge_and_unload().state_dict()
        for name, value in after.items():
            if name.startswith("bert."):
                changed[name] = changed.get(name, right[name]) + weight * (value - before[name])
            elif path == b:
                changed[name] = value
    model = classifier(base, 5)
    model.load_state_dict(changed)
    assert torch.allclose(by_peft(base, tmp_path / "sum", 5), answers(model), atol=1e-5)
    assert torch.allclose(answers(loaded_whole(tmp_path / "model")), answers(model), atol=1e-5)


def test_with_the_base_a_share_of_a_head_that_it_lacks_is_refused_with_the_same_ways_out(
    pair: tuple[Path, Path, Path], run: Run, tmp_path: Path
) -> None:
    base, a, _ = pair
    for command in ("add", "bake"):
        words = (
            ("add", f"{a}:0.5", "--base", base) if command == "add" else ("bake", base, f"{a}:0.5")
        )
        refused = run(*words, "-o", tmp_path / "out")
        assert refused.code == 2
        assert "--heads none" in refused.err
        assert "another base model" not in refused.err
        done = run(*words, "-o", tmp_path / f"{command}-none", "--heads", "none")
        assert done.code == 0, done.err
        done = run(*words, "-o", tmp_path / f"{command}-own", "--heads", "a")
        assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("bare llama", "QUESTION_ANS"),
        ("t5", "SEQ_CLS"),
        ("bare bert", "SEQ_CLS"),
        ("bare gpt2", "SEQ_CLS"),
    ],
)
def test_a_sum_of_classifiers_keeps_the_names_of_their_class_where_the_bases_are_others(
    kind: str, task: str, run: Run, tmp_path: Path
) -> None:
    """LlamaForQuestionAnswering says `transformer.layers`, T5's `transformer.encoder`."""
    base = make_base(kind, tmp_path / "base")
    a, b = (
        make_classifier(kind, base, tmp_path / n, task=task, seed=i) for i, n in enumerate("ab")
    )
    done = run("add", f"{a}:0.5", f"{b}:0.5", "-o", tmp_path / "sum")
    assert done.code == 0, done.err
    assert "warning" not in done.err
    assert "read back: all" in done.out
    names = [load_file(p / "adapter_model.safetensors").keys() for p in (a, tmp_path / "sum")]
    assert names[0] == names[1]
    baked = run("bake", base, f"{a}:0.5", f"{b}:0.5", "-o", tmp_path / "out", "-q")
    assert baked.code == 0, baked.err
    right = by_peft(base, tmp_path / "sum", task=task)
    assert not torch.allclose(right, by_peft(base, a, task=task), atol=1e-2)
    assert torch.allclose(answers(loaded_whole(tmp_path / "out", task)), right, atol=1e-5)
    assert run("verify", base, f"{a}:0.5", f"{b}:0.5", tmp_path / "out", "-q").code == 0
    assert run("verify", base, f"{a}:0.5", f"{b}:0.5", tmp_path / "sum", "-q").code == 0


def test_a_class_that_finds_no_weight_of_the_base_is_refused_and_the_command_printed_helps(
    run: Run, tmp_path: Path
) -> None:
    base = make_base("llama", tmp_path / "base")
    bare = make_base("bare llama", tmp_path / "trained-on")
    adapter = make_classifier("bare llama", bare, tmp_path / "a", task="QUESTION_ANS")
    refused = run("bake", base, adapter, "-o", tmp_path / "out", "-q", "--same-base")
    assert refused.code == 2
    assert "would load no weight" in refused.err
    follow(refused.err, cwd=tmp_path)
    done = run("bake", tmp_path / "base-bare", adapter, "-o", tmp_path / "out", "-q")
    assert done.code == 0, done.err
    right = by_peft(tmp_path / "base-bare", adapter, task="QUESTION_ANS")
    assert torch.allclose(answers(loaded_whole(tmp_path / "out", "QUESTION_ANS")), right, atol=1e-5)


def test_an_engine_that_takes_no_head_is_served_without_it(
    pair: tuple[Path, Path, Path], run: Run, tmp_path: Path
) -> None:
    _, a, b = pair
    refused = run("add", a, "-o", tmp_path / "out", "--for", "vllm")
    assert refused.code == 2
    assert "a head: --heads none leaves it out" in refused.err
    done = run("add", a, b, "-o", tmp_path / "out", "--for", "vllm", "--heads", "none")
    assert done.code == 0, done.err


def test_factors_on_a_layer_of_the_head_that_nobody_saved_are_left_out_with_it(
    run: Run, tmp_path: Path
) -> None:
    """With target_modules="all-linear" DeBERTa's pooler, random at first, gets factors too."""
    base = make_base("deberta", tmp_path / "base")
    adapter = make_classifier("deberta", base, tmp_path / "a", modules_to_save=None,
                              target_modules=["query_proj", "pooler.dense"])  # fmt: skip
    refused = run("bake", base, adapter, "-o", tmp_path / "out", "-q")
    assert refused.code == 2
    assert "`pooler.dense.weight` is a head" in refused.err
    assert "--heads none" in refused.err
    done = run("bake", base, adapter, "-o", tmp_path / "out", "-q", "--heads", "none")
    assert done.code == 0, done.err
    assert run("verify", base, adapter, tmp_path / "out", "-q", "--heads", "none").code == 0
    assert run("check", adapter, make_classifier("deberta", base, tmp_path / "b", 7)).code == 0
