"""Tokens added before training: what the adapter brings of them is baked in, or the way is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file
from tests.baking.conftest import llama, load, qwen3_moe, told_by_peft
from tests.baking.grown import WHOLE, Grown, said, tied_llama

import superpose as sp
from superpose.baking import bake, prove_model, prove_sum
from superpose.errors import BadInput, Refused, SuperposeWarning
from superpose.files.checkpoint import Checkpoint


@pytest.fixture
def grown(tmp_path: Path) -> Callable[[Callable[[], Any]], Grown]:
    def make(model: Callable[[], Any]) -> Grown:
        torch.manual_seed(0)
        return Grown(tmp_path, model())

    return make


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (llama, WHOLE),
        (llama, {}),
        (llama, {"target_modules": ["embed_tokens", "lm_head", "q_proj"]}),
        (llama, {"trainable_token_indices": [3, 32, 33]}),
        (tied_llama, {}),
        (tied_llama, WHOLE),
        (tied_llama, {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}),
        (tied_llama, {"target_modules": ["embed_tokens", "q_proj"]}),
        (qwen3_moe, WHOLE),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.parametrize("rows", [34, 30])
def test_an_adapter_of_another_vocabulary_is_baked_onto_the_base_as_peft_puts_it_there(
    model: Callable[[], Any],
    settings: dict[str, Any],
    rows: int,
    grown: Callable[[Callable[[], Any]], Grown],
) -> None:
    """More rows, or fewer: Qwen's embedding has more than its tokenizer asks for."""
    if rows == 30 and "trainable_token_indices" in settings:
        settings = {"trainable_token_indices": [3, 28]}
    made = grown(model)
    adapter = made.trained("a", rows=rows, **settings)
    baked = bake(made.base, sp.load(adapter), made.folder / "out")
    assert baked.vocabulary == rows
    model = load(made.folder / "out")
    assert model.config.vocab_size == rows
    assert torch.allclose(said(model, rows), made.right(adapter, rows), atol=1e-5)
    assert prove_model(made.base, sp.load(adapter), made.folder / "out").holds


def test_a_copy_counts_once_whatever_the_task_weight(
    grown: Callable[[Callable[[], Any]], Grown],
) -> None:
    made = grown(llama)
    plain, other = made.trained("plain"), made.trained("other", 1)
    total = sp.exact_sum([sp.load(plain), sp.load(other)], [0.5, -1.0])
    bake(made.base, total, made.folder / "o")
    model = made.grown()
    model.save_pretrained(made.folder / "resized")
    bake(made.folder / "resized", total, made.folder / "r")
    assert torch.equal(said(load(made.folder / "o")), said(load(made.folder / "r")))
    assert not torch.allclose(said(model.eval()), said(load(made.folder / "o")), atol=1e-3)


def test_stored_vocabularies_are_averaged_where_their_weights_sum_to_one(
    grown: Callable[[Callable[[], Any]], Grown],
) -> None:
    made = grown(llama)
    paths = made.trained("a", **WHOLE), made.trained("b", 1, **WHOLE)
    total = sp.exact_sum([sp.load(path) for path in paths], [0.25, 0.75])
    bake(made.base, total, made.folder / "out")
    key = "base_model.model.model.embed_tokens.weight"
    x, y = (load_file(path / "adapter_model.safetensors")[key] for path in paths)
    found = Checkpoint.open(made.folder / "out").read("model.embed_tokens.weight")
    assert abs(found - (0.25 * x + 0.75 * y)).max() < 1e-6
    sp.save(total, made.folder / "sum")
    assert prove_sum(total, sp.load(made.folder / "sum"), made.base).holds


@pytest.mark.parametrize("model", [llama, tied_llama])
def test_one_end_alone_is_refused_where_the_other_ends_new_rows_are_nowhere(
    model: Callable[[], Any], grown: Callable[[Callable[[], Any]], Grown]
) -> None:
    made = grown(model)
    adapter = made.trained("a", modules_to_save=["embed_tokens"], target_modules=["q_proj"])
    file = adapter / "adapter_model.safetensors"
    kept = {k: v for k, v in load_file(file).items() if "lm_head" not in k}
    save_file(kept, file, {"format": "pt"})  # as older versions of PEFT saved it
    with pytest.raises(Refused, match=r"vocabulary of 34 tokens, and of .* 32 rows") as error:
        bake(made.base, sp.load(adapter), made.folder / "out")
    assert "m.resize_token_embeddings(34)" in str(error.value)
    made.grown().save_pretrained(made.folder / "resized")
    bake(made.folder / "resized", sp.load(adapter), made.folder / "out")
    model = load(made.folder / "out")
    assert torch.allclose(said(model), made.right(adapter), atol=1e-5)


def test_trained_rows_beyond_the_base_are_refused_where_nothing_brings_the_others(
    grown: Callable[[Callable[[], Any]], Grown],
) -> None:
    made = grown(llama)
    adapter = made.trained("a", trainable_token_indices=[32, 33])
    file = adapter / "adapter_model.safetensors"
    kept = {
        k: v for k, v in load_file(file).items() if "base_layer" not in k and "lm_head" not in k
    }
    save_file(kept, file, {"format": "pt"})
    with pytest.raises(BadInput, match=r"trained with 2 tokens more"):
        bake(made.base, sp.load(adapter), made.folder / "out")


def test_a_tokenizer_beside_the_adapter_goes_with_its_tokens(
    grown: Callable[[Callable[[], Any]], Grown],
) -> None:
    made = grown(llama)
    (made.base / "tokenizer.json").write_text('{"of": "base"}')
    adapter = made.trained("a", **WHOLE)
    with pytest.warns(SuperposeWarning, match="tokenizer is the base model's"):
        bake(made.base, sp.load(adapter), made.folder / "out")
    (adapter / "tokenizer.json").write_text('{"of": "adapter"}')
    (adapter / "added_tokens.json").write_text('{"<new>": 32}')
    bake(made.base, sp.load(adapter), made.folder / "with")
    assert json.loads((made.folder / "with/tokenizer.json").read_text()) == {"of": "adapter"}
    assert (made.folder / "with/added_tokens.json").is_file()
    other = made.trained("b", 1, **WHOLE)
    (other / "tokenizer.json").write_text('{"of": "other"}')
    total = sp.exact_sum([sp.load(adapter), sp.load(other)], [0.5, 0.5])
    with pytest.warns(SuperposeWarning, match=r"b has another tokenizer\.json than .*a, whose is"):
        bake(made.base, total, made.folder / "both")


def test_a_model_whose_config_counts_other_tokens_is_not_the_sum(
    grown: Callable[[Callable[[], Any]], Grown],
) -> None:
    made = grown(llama)
    summed = sp.load(made.trained("a", **WHOLE))
    bake(made.base, summed, made.folder / "out")
    config = made.folder / "out/config.json"
    config.write_text(config.read_text().replace('"vocab_size": 34', '"vocab_size": 32'))
    proof = prove_model(made.base, summed, made.folder / "out")
    assert [f.name for f in proof.failures] == ["config.json"]
    assert "34 rows" in proof.failures[0].reason


def test_another_models_embedding_is_still_another_base(
    grown: Callable[[Callable[[], Any]], Grown],
) -> None:
    made = grown(llama)
    adapter = sp.load(made.trained("a"))
    torch.manual_seed(9)
    llama().save_pretrained(made.folder / "other")
    with pytest.raises(BadInput, match=r"saved with another .* \(34, 16\), not \(32, 16\)"):
        bake(made.folder / "other", adapter, made.folder / "out")


def test_factors_of_one_vocabulary_and_another_stored_whole_have_no_sum(
    grown: Callable[[Callable[[], Any]], Grown],
) -> None:
    made = grown(llama)
    whole = made.trained("whole", **WHOLE)
    factors = made.adapter("factors", target_modules=["lm_head", "q_proj"])
    total = sp.load(whole) + sp.load(factors)
    with pytest.raises(BadInput, match=r"has shape \(32, 16\) beside one adapter") as error:
        bake(made.base, total, made.folder / "out")
    assert "different vocabularies" in str(error.value)


def test_a_classifier_with_added_tokens_has_both(tmp_path: Path) -> None:
    torch.manual_seed(0)
    llama(pad_token_id=1).save_pretrained(tmp_path / "base")

    def resized() -> Any:
        with told_by_peft():
            auto = transformers.AutoModelForSequenceClassification
            model = auto.from_pretrained(tmp_path / "base", num_labels=3)
            model.resize_token_embeddings(34, mean_resizing=False)
        return model

    config = peft.LoraConfig(task_type="SEQ_CLS", target_modules=["q_proj"],
                             modules_to_save=["embed_tokens"], init_lora_weights=False)  # fmt: skip
    with told_by_peft():
        tuned = peft.get_peft_model(resized(), config)
        tuned.save_pretrained(tmp_path / "a")
        right = said(peft.PeftModel.from_pretrained(resized(), tmp_path / "a").eval())
    baked = bake(tmp_path / "base", sp.load(tmp_path / "a"), tmp_path / "out")
    assert (baked.vocabulary, baked.labels) == (34, 3)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert torch.allclose(said(model.eval()), right, atol=1e-5)
