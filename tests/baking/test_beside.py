"""What lies beside an adapter goes into the configuration, and what does not is said."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.baking.checkpoints import normal, write_checkpoint

from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Stored
from superpose.baking import bake, prove_model
from superpose.baking.beside import with_vocabulary
from superpose.baking.found import found_in
from superpose.errors import Refused, SuperposeWarning
from superpose.files.checkpoint import CONFIG, Checkpoint

WORDS = "model.embed_tokens.weight"
NO_PAD = "names no pad_token_id"


def base_of(folder: Path, **config: Any) -> Path:
    return write_checkpoint(folder / "base", {"model.q.weight": normal(4, 4)}, **config)


def with_head(path: Path | None, labels: int = 3, name: str = "score", **settings: Any) -> Adapter:
    """Give an adapter of a classifier, read from that place."""
    head = Replacement((Part(1.0, Stored(normal(labels, 4))),), f"{name}.weight", owner=name)
    own = {"model.q": Delta.of(normal(4, 1), normal(1, 4))}
    settings = settings or {"task_type": "SEQ_CLS"}
    return Adapter(
        own,
        replacements={head.key: head},
        settings=settings,
        path=None if path is None else str(path),
    )


def folder_of(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / CONFIG).write_text(json.dumps({"model_type": "llama", **config}))
    return folder


def baked(base: Path, adapter: Adapter, out: Path) -> dict[str, Any]:
    found = json.loads((bake(base, adapter, out).path / CONFIG).read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("beside", "pad"),
    [({"pad_token_id": 5}, 5), ({"pad_token_id": "5"}, None), ({}, None)],
    ids=["a number", "a word", "nothing"],
)
def test_the_token_that_pads_is_the_one_of_the_configuration_beside_the_adapter(
    tmp_path: Path, beside: dict[str, Any], pad: int | None
) -> None:
    adapter = with_head(folder_of(tmp_path / "a", **beside))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SuperposeWarning)
        config = baked(base_of(tmp_path), adapter, tmp_path / "out")
    assert config.get("pad_token_id") == pad
    assert any(NO_PAD in str(one.message) for one in told) == (pad is None)


def test_a_place_that_is_no_adapters_folder_names_nothing(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(json.dumps({"model_type": "llama", "pad_token_id": 5}))
    adapter = with_head(tmp_path / "a.safetensors")
    with pytest.warns(SuperposeWarning, match=NO_PAD):
        assert "pad_token_id" not in baked(base_of(tmp_path), adapter, tmp_path / "out")


def test_labels_of_the_base_that_are_as_many_as_the_heads_keep_their_names(tmp_path: Path) -> None:
    names = {"id2label": {"0": "no", "1": "maybe", "2": "yes"}, "pad_token_id": 0}
    base = base_of(tmp_path, **names)
    assert baked(base, with_head(None), tmp_path / "same")["id2label"] == names["id2label"]
    other = baked(base, with_head(None, 2), tmp_path / "other")
    assert other["id2label"] == {"0": "LABEL_0", "1": "LABEL_1"}


def test_a_proof_names_a_configuration_that_counts_other_labels(tmp_path: Path) -> None:
    base = base_of(tmp_path, pad_token_id=0)
    config = baked(base, with_head(None), tmp_path / "out")
    assert prove_model(base, with_head(None), tmp_path / "out").holds
    wrong = {**config, "id2label": {"0": "no", "1": "yes"}}
    (tmp_path / "out" / CONFIG).write_text(json.dumps(wrong))
    (failure,) = prove_model(base, with_head(None), tmp_path / "out").failures
    assert failure.name == CONFIG
    assert failure.reason == "names other labels than the 3 of the head"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("qa_outputs", "LlamaForQuestionAnswering"), ("score", "LlamaForCausalLM")],
)
def test_a_head_without_a_task_is_told_by_its_name_or_not_at_all(
    tmp_path: Path, name: str, kind: str
) -> None:
    adapter = with_head(None, 2, name, peft_type="LORA")
    config = baked(base_of(tmp_path, pad_token_id=0), adapter, tmp_path / "out")
    assert config["architectures"] == [kind]


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"vocab_size": 6}, {"vocab_size": 8}),
        ({"text_config": {"vocab_size": 6}}, {"text_config": {"vocab_size": 8}}),
        (
            {"vocab_size": 6, "text_config": {"vocab_size": 6, "x": 1}},
            {"vocab_size": 8, "text_config": {"vocab_size": 8, "x": 1}},
        ),
        ({}, {"vocab_size": 8}),
        ({"text_config": {"x": 1}}, {"text_config": {"x": 1, "vocab_size": 8}}),
        ({"vocab_size": 6, "text_config": {"x": 1}}, {"vocab_size": 8, "text_config": {"x": 1}}),
    ],
)
def test_the_vocabulary_is_counted_wherever_the_configuration_counts_it(
    config: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert with_vocabulary(config, 8) == wanted


def test_ends_that_are_no_longer_tied_are_said_in_the_models_card(tmp_path: Path) -> None:
    base = write_checkpoint(
        tmp_path / "base", {WORDS: normal(6, 4)}, tie_word_embeddings=True, vocab_size=6
    )
    place = Place("model.embed_tokens", kind="embedding")
    own = Delta.of(normal(4, 1), normal(1, 6), 1.0, place)
    done = bake(base, Adapter({place.key: own}), tmp_path / "out")
    assert done.notes() == ["embedding and output layer, tied in the base model, differ now"]
    after = Checkpoint.open(tmp_path / "out")
    assert np.array_equal(after.read("lm_head.weight"), normal(6, 4))


def test_a_share_of_an_embedding_that_lies_beside_another_adapter_says_whose(
    tmp_path: Path,
) -> None:
    """The command that makes the base needs a place; where none is known a word stands for it."""
    base = write_checkpoint(
        tmp_path / "base", {WORDS: normal(6, 4), "lm_head.weight": normal(6, 4, seed=4)},
        tie_word_embeddings=False, vocab_size=6,
    )  # fmt: skip
    whole = Replacement((Part(0.5, Stored(normal(8, 4, seed=3))),), WORDS)
    copy = np.concatenate([normal(6, 4), normal(2, 4, seed=9)])
    adapter = Adapter({}, replacements={whole.key: whole}, copies={WORDS: copy})
    for path in (None, folder_of(tmp_path / "a")):
        one = replace(adapter, path=None if path is None else str(path))
        with pytest.raises(Refused, match="a share of the base model's own is needed") as error:
            bake(base, one, tmp_path / "out")
        assert "it has 6 rows there" in str(error.value)
        assert "ADAPTER" in str(error.value)


def test_parts_that_are_not_in_a_model_are_counted(tmp_path: Path) -> None:
    base = base_of(tmp_path)
    adapter = Adapter(
        {name: Delta.of(normal(4, 1), normal(1, 4)) for name in ("model.q", "model.z")}
    )
    found = found_in(adapter, Checkpoint.open(base), "org/base")
    assert str(found) == "read back: 1 of 2 parts are not found in org/base"
