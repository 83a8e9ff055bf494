"""A classifier's adapter baked into a base that has no head is the classifier that PEFT merges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.baking.checkpoints import normal, write_checkpoint
from tests.baking.classifiers import (
    answers,
    by_peft,
    classifier,
    loaded_whole,
    make_base,
    make_classifier,
)

import superpose as sp
from superpose.adapter import Adapter, Part, Replacement, Stored
from superpose.baking import bake, prove_model
from superpose.errors import Refused, SuperposeWarning
from superpose.files.checkpoint import Checkpoint

SEQUENCES = ["llama", "tied qwen", "bare gpt2", "bert", "bare bert", "roberta", "distilbert",
             "deberta", "t5"]  # fmt: skip
OTHERS = [("bare llama", "QUESTION_ANS"),
          ("gpt2", "TOKEN_CLS"), ("roberta", "TOKEN_CLS"), ("deberta", "TOKEN_CLS"),
          ("gpt2", "QUESTION_ANS"), ("bare bert", "QUESTION_ANS"),
          ("t5", "QUESTION_ANS")]  # fmt: skip


@pytest.mark.parametrize(("kind", "task"), [*((kind, "SEQ_CLS") for kind in SEQUENCES), *OTHERS])
def test_a_baked_classifier_loads_whole_and_says_what_pefts_merged_one_says(
    kind: str, task: str, tmp_path: Path
) -> None:
    base = make_base(kind, tmp_path / "base")
    adapter = make_classifier(kind, base, tmp_path / "a", labels=5, task=task)
    right = by_peft(base, adapter, 5, task)
    summed = sp.load(adapter)
    bake(base, summed, tmp_path / "out")
    model = loaded_whole(tmp_path / "out", task)
    assert model.config.num_labels == (2 if task == "QUESTION_ANS" else 5)
    assert model.config.architectures == [type(model).__name__]
    assert torch.allclose(answers(model), right, atol=1e-5)
    assert prove_model(base, summed, tmp_path / "out").holds


def test_what_predicts_tokens_is_left_out_and_said(tmp_path: Path) -> None:
    base = make_base("llama", tmp_path / "base")
    summed = sp.load(make_classifier("llama", base, tmp_path / "a"))
    bake(base, summed, tmp_path / "out")
    written = Checkpoint.open(tmp_path / "out")
    assert "lm_head.weight" not in written.names
    assert "`score.weight` is new" in (tmp_path / "out/README.md").read_text()
    assert "does not have it: lm_head.weight" in (tmp_path / "out/README.md").read_text()


def test_what_lies_behind_a_tensor_that_is_left_out_is_copied_from_its_own_place(
    tmp_path: Path,
) -> None:
    tensors = {name: normal(4, 4, seed=n) for n, name in enumerate(
        ("a.weight", "lm_head.weight", "model.z.weight", "score.other"))}  # fmt: skip
    base = write_checkpoint(tmp_path / "base", tensors, pad_token_id=0)
    head = Replacement((Part(1.0, Stored(normal(3, 4))),), "score.weight", owner="score")
    adapter = Adapter({}, replacements={head.key: head}, settings={"task_type": "SEQ_CLS"})
    bake(base, adapter, tmp_path / "out")
    written = Checkpoint.open(tmp_path / "out")
    assert "lm_head.weight" not in written.names
    for name in tensors.keys() - {"lm_head.weight"}:
        assert (written.read(name) == tensors[name]).all(), name


def test_an_embedding_of_tied_weights_changes_without_an_output_layer(tmp_path: Path) -> None:
    base = make_base("tied qwen", tmp_path / "base")
    adapter = make_classifier("tied qwen", base, tmp_path / "a",
                              target_modules=["embed_tokens", "q_proj"])  # fmt: skip
    assert bake(base, sp.load(adapter), tmp_path / "out").new == ("score.weight",)
    model = loaded_whole(tmp_path / "out")
    assert torch.allclose(answers(model), by_peft(base, adapter), atol=1e-5)


def test_labels_have_the_names_that_lie_beside_the_adapter(tmp_path: Path) -> None:
    base = make_base("bert", tmp_path / "base")
    adapter = make_classifier("bert", base, tmp_path / "a")
    plain = bake(base, sp.load(adapter), tmp_path / "plain").path
    assert classifier(plain).config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    names = {"0": "no", "1": "maybe", "2": "yes"}
    beside = {
        "model_type": "bert",
        "id2label": names,
        "label2id": {v: int(k) for k, v in names.items()},
        "problem_type": "single_label_classification",
    }
    (adapter / "config.json").write_text(json.dumps(beside))
    half = sp.exact_sum([sp.load(adapter), sp.load(adapter)], [0.5, 0.5])
    config = classifier(bake(base, half, tmp_path / "named").path).config
    assert config.id2label == {0: "no", 1: "maybe", 2: "yes"}
    assert config.problem_type == "single_label_classification"
    (adapter / "config.json").write_text(json.dumps({**beside, "id2label": {"0": "other"}}))
    assert classifier(bake(base, half, tmp_path / "not").path).config.id2label[1] == "LABEL_1"


def test_the_token_that_pads_is_taken_from_the_adapters_tokenizer(tmp_path: Path) -> None:
    base = make_base("llama", tmp_path / "base", pad_token_id=None)
    adapter = make_classifier("llama", base, tmp_path / "a")
    with pytest.warns(SuperposeWarning, match="names no pad_token_id"):
        bake(base, sp.load(adapter), tmp_path / "without")
    tokenizer = {
        "pad_token": "<pad>",
        "added_tokens_decoder": {"0": {"content": "<s>"}, "7": {"content": "<pad>"}},
    }
    (adapter / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    bake(base, sp.load(adapter), tmp_path / "out")
    assert loaded_whole(tmp_path / "out").config.pad_token_id == 7


def test_a_layer_below_the_head_that_nobody_saved_is_said(tmp_path: Path) -> None:
    base = make_base("deberta", tmp_path / "base")
    adapter = make_classifier("deberta", base, tmp_path / "a", modules_to_save=None)
    with pytest.warns(SuperposeWarning, match=r"`pooler`.*random.*modules_to_save"):
        bake(base, sp.load(adapter), tmp_path / "out")


def test_a_share_of_a_head_that_no_base_has_is_refused_and_the_ways_out_work(
    tmp_path: Path,
) -> None:
    base = make_base("roberta", tmp_path / "base")
    a, b = (
        sp.load(make_classifier("roberta", base, tmp_path / n, labels, seed=labels))
        for n, labels in (("a", 3), ("b", 3))
    )
    both = sp.exact_sum([a, b])
    with pytest.raises(Refused, match=r"`classifier\.dense.*head that .* does not have") as error:
        bake(base, both, tmp_path / "no")
    assert "--heads none" in str(error.value)
    taken = sp.exact_sum([a, b], heads="b")
    bake(base, taken, tmp_path / "out")
    bake(base, sp.exact_sum([a, b], heads="none"), tmp_path / "body")
    body, model = Checkpoint.open(tmp_path / "body"), loaded_whole(tmp_path / "out")
    assert [n for n in body.names if n.startswith("classifier")] == []
    state = model.state_dict()
    for name in ("classifier.dense.weight", "classifier.out_proj.bias"):
        assert (state[name].numpy() == b.replacements[name].value()).all()
    query = "roberta.encoder.layer.0.attention.self.query.weight"
    assert (state[query].numpy() == body.read(query)).all()


def test_a_base_that_is_a_classifier_itself_gets_the_adapters_labels(tmp_path: Path) -> None:
    """As when an NLI model is tuned on other labels (ignore_mismatched_sizes)."""
    base = make_base("roberta", tmp_path / "plain")
    classifier(base, 2).save_pretrained(tmp_path / "base")
    adapter = make_classifier("roberta", base, tmp_path / "a", 4)
    right = by_peft(base, adapter, 4)
    bake(tmp_path / "base", sp.load(adapter), tmp_path / "out")
    model = loaded_whole(tmp_path / "out")
    assert model.config.num_labels == 4
    assert torch.allclose(answers(model), right, atol=1e-5)
    assert prove_model(tmp_path / "base", sp.load(adapter), tmp_path / "out").holds
