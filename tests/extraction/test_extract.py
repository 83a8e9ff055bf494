"""What fine-tuning did comes back as an adapter; transformers and PEFT hold the truth."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import superpose
from superpose import extract
from superpose.errors import BadInput
from superpose.lowrank import dense

if TYPE_CHECKING:
    from tests.extraction.conftest import Tuned

    MakeTuned = Callable[..., Tuned]


def off(found: np.ndarray, right: np.ndarray) -> float:
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def shift_norms(model: Any) -> None:
    for name, parameter in model.named_parameters():
        if "norm" in name or ".ln_" in name:
            parameter.data += 0.05


def logits(model: Any) -> np.ndarray:
    tokens = torch.arange(24).reshape(2, 12) % 61
    with torch.no_grad():
        return np.asarray(model.eval()(input_ids=tokens).logits.double())


@pytest.mark.parametrize("kind", ["LlamaForCausalLM", "GPT2LMHeadModel"])
@pytest.mark.parametrize("shard", ["50GB", "20KB"], ids=["one file", "shards"])
def test_a_change_of_known_rank_comes_back_at_that_rank(
    tuned: MakeTuned, kind: str, shard: str
) -> None:
    made = tuned(kind, rank=3, shard=shard)
    assert (made.base / "model.safetensors.index.json").exists() == (shard == "20KB")
    found = extract(made.base, made.finetuned, rank=3)
    assert {f"{module}.weight" for module in found.adapter} == set(made.changes)
    for module, delta in found.adapter.items():
        right = made.changes[f"{module}.weight"]
        right = right.T if kind.startswith("GPT2") else right
        assert off(dense(delta.terms), right) < 1e-5
    assert found.energy_kept == pytest.approx(1.0, abs=1e-9)
    assert found.leftovers == ()
    assert found.share_left == 0.0


@pytest.mark.parametrize("kind", ["LlamaForCausalLM", "GPT2LMHeadModel"])
def test_peft_makes_the_fine_tuned_model_of_base_and_adapter(
    tuned: MakeTuned, tmp_path: Path, kind: str
) -> None:
    made = tuned(kind, rank=3)
    found = extract(made.base, made.finetuned, rank=3)
    superpose.save(found.adapter, tmp_path / "adapter")
    base, right = (
        getattr(transformers, kind).from_pretrained(folder)
        for folder in (made.base, made.finetuned)
    )
    before = logits(base)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # PEFT warns of a wrong fan_in_fan_out
        model = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    error = np.linalg.norm(logits(model) - logits(right))
    assert error < 1e-5 * np.linalg.norm(logits(right) - before)
    read = superpose.load(tmp_path / "adapter")
    assert read.base_model == str(made.base)
    assert read.settings["task_type"] == "CAUSAL_LM"


def test_the_energy_kept_is_numpys_in_every_module_and_in_all(tuned: MakeTuned) -> None:
    made = tuned(rank=12)
    found = extract(made.base, made.finetuned, rank=4)
    kept = whole = 0.0
    for module in found.modules:
        s = np.linalg.svd(made.changes[f"{module.name}.weight"], compute_uv=False) ** 2
        assert module.energy_kept == pytest.approx(s[:4].sum() / s.sum(), rel=1e-6)
        assert module.change == pytest.approx(math.sqrt(s.sum()), rel=1e-9)
        kept, whole = kept + s[:4].sum(), whole + s.sum()
    assert found.energy_kept == pytest.approx(kept / whole, rel=1e-6)
    assert sum(kind.share for kind in found.kinds) == pytest.approx(1.0)
    assert {kind.name for kind in found.kinds} == {
        f"{part}_proj" for part in ("q", "k", "v", "o", "gate", "up", "down")
    }
    assert all(kind.module_count == 2 for kind in found.kinds)


def test_what_no_factors_hold_is_measured_and_listed(tuned: MakeTuned) -> None:
    def change(model: Any) -> None:
        shift_norms(model)
        model.model.embed_tokens.weight.data[3] += 0.1
        model.lm_head.weight.data += 0.001

    made = tuned(change=change)
    found = extract(made.base, made.finetuned, rank=3)
    base = transformers.LlamaForCausalLM.from_pretrained(made.base).state_dict()
    left = {leftover.name: leftover for leftover in found.leftovers}
    assert set(left) == {n for n in made.changes if n.removesuffix(".weight") not in found.adapter}
    whole = sum(np.sum(change**2) for change in made.changes.values())
    for name, leftover in left.items():
        right = made.changes[name]
        assert leftover.change == pytest.approx(np.linalg.norm(right))
        assert leftover.relative == pytest.approx(
            np.linalg.norm(right) / np.linalg.norm(base[name].double())
        )
        assert leftover.share == pytest.approx(np.sum(right**2) / whole)
    assert {x.kind for x in found.leftovers} == {"norm", "embedding", "head"}
    assert left["model.norm.weight"].kind == "norm"
    assert found.share_left == pytest.approx(sum(x.share for x in found.leftovers))
    assert [x.share for x in found.leftovers] == sorted(x.share for x in left.values())[::-1]
    targets = sum(kind.share for kind in found.kinds)
    assert targets + found.share_left == pytest.approx(1.0)
    total = len(found.modules) + len(found.leftovers) + found.unchanged
    assert total == len(base)


def test_the_least_rank_that_keeps_a_share_is_taken_module_by_module(tuned: MakeTuned) -> None:
    made = tuned(rank=12)
    found = extract(made.base, made.finetuned, energy=0.8)
    assert len({module.rank for module in found.modules}) > 1
    for module in found.modules:
        s = np.linalg.svd(made.changes[f"{module.name}.weight"], compute_uv=False) ** 2
        assert module.rank == int(np.argmax(np.cumsum(s) >= 0.8 * s.sum())) + 1
    capped = extract(made.base, made.finetuned, 2, energy=0.8)
    assert {module.rank for module in capped.modules} == {2}


def test_targets_are_named_as_peft_names_them_and_the_others_are_left_over(
    tuned: MakeTuned,
) -> None:
    made = tuned()
    found = extract(made.base, made.finetuned, 3, targets=["q_proj", "model.layers.1.mlp.up_proj"])
    assert set(found.adapter) == {
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
    }
    assert {x.kind for x in found.leftovers} == {"linear, not chosen"}
    assert len(found.leftovers) == len(made.changes) - 3
    assert 0.5 < found.share_left < 1.0


def test_modules_that_did_not_change_are_left_out(tuned: MakeTuned) -> None:
    def change(model: Any) -> None:
        model.model.layers[1].mlp.down_proj.weight.data[2, 3] += 0.5

    made = tuned(change=change, rank=0)
    found = extract(made.base, made.finetuned, rank=4)
    assert [(m.name, m.rank) for m in found.modules] == [("model.layers.1.mlp.down_proj", 1)]
    assert off(dense(found.adapter["model.layers.1.mlp.down_proj"].terms),
               made.changes["model.layers.1.mlp.down_proj.weight"]) < 1e-6  # fmt: skip


def test_half_precision_is_read_exactly(tuned: MakeTuned) -> None:
    made = tuned(dtype=torch.bfloat16, rank=20)
    found = extract(made.base, made.finetuned, rank=48)
    for module, delta in found.adapter.items():
        assert off(dense(delta.terms), made.changes[f"{module}.weight"]) < 1e-6


def test_a_tied_model_has_one_embedding_and_it_is_left_over_once(tuned: MakeTuned) -> None:
    def change(model: Any) -> None:
        model.model.embed_tokens.weight.data += 0.01

    made = tuned(change=change, tie_word_embeddings=True)
    found = extract(made.base, made.finetuned, rank=3)
    assert [(x.name, x.kind) for x in found.leftovers] == [
        ("model.embed_tokens.weight", "embedding")
    ]
    with pytest.raises(BadInput, match="is tied"):
        extract(made.base, made.finetuned, 3, targets=["q_proj", "embed_tokens"])


def test_a_head_that_fine_tuning_untied_is_compared_with_the_embedding(tuned: MakeTuned) -> None:
    made = tuned(tie_word_embeddings=True)
    tensors = load_file(made.finetuned / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] + 0.25
    save_file(tensors, made.finetuned / "model.safetensors")
    config = made.finetuned / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "tie_word_embeddings": False}))
    (head,) = extract(made.base, made.finetuned, rank=3).leftovers
    assert (head.name, head.kind) == ("lm_head.weight", "head")
    assert head.change == pytest.approx(0.25 * math.sqrt(61 * 32))


def test_an_untied_embedding_and_head_become_factors_where_they_are_named(
    tuned: MakeTuned, tmp_path: Path
) -> None:
    def change(model: Any) -> None:
        for weight in (model.model.embed_tokens.weight, model.lm_head.weight):
            weight.data += 0.05 * torch.outer(torch.arange(61.0) / 61, torch.ones(32))

    made = tuned(change=change)
    found = extract(made.base, made.finetuned, 3, targets=["embed_tokens", "lm_head"])
    assert set(found.adapter) == {"model.embed_tokens", "lm_head"}
    delta = found.adapter["model.embed_tokens"]
    assert delta.shape == (32, 61)
    assert off(dense(delta.terms), made.changes["model.embed_tokens.weight"].T) < 1e-5


def test_a_resized_vocabulary_is_said_and_no_reason_to_refuse(tuned: MakeTuned) -> None:
    made = tuned(change=lambda model: model.resize_token_embeddings(64))
    found = extract(made.base, made.finetuned, rank=3)
    assert {(x.name, x.base_shape, x.shape) for x in found.leftovers} == {
        ("model.embed_tokens.weight", (61, 32), (64, 32)),
        ("lm_head.weight", (61, 32), (64, 32)),
    }
    assert all(math.isnan(x.share) for x in found.leftovers)
    assert found.share_left == 0.0
    assert found.to_json()["leftovers"][0]["relative"] is None  # type: ignore[index]


def test_gpt2s_own_files_without_the_prefix_give_the_names_of_the_module_tree(
    tuned: MakeTuned,
) -> None:
    made = tuned("GPT2LMHeadModel")
    right = set(extract(made.base, made.finetuned, rank=3).adapter)
    for folder in (made.base, made.finetuned):  # first one of them, then both
        tensors = load_file(folder / "model.safetensors")
        bare = {name.removeprefix("transformer."): x for name, x in tensors.items()}
        save_file(bare, folder / "model.safetensors")
        found = extract(made.base, made.finetuned, rank=3)
        assert set(found.adapter) == right
        assert found.leftovers == ()


def test_progress_counts_up_to_the_whole(tuned: MakeTuned) -> None:
    made = tuned()
    told: list[tuple[int, int, str]] = []
    extract(made.base, made.finetuned, 3, progress=lambda *args: told.append(args))
    done = [at for at, _, _ in told]
    assert done == sorted(done)
    assert done[0] == 0
    assert told[-1][0] == told[-1][1]
    assert told[0][2] in load_file(made.base / "model.safetensors")


def test_one_change_is_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peak is that of one module's difference and its factors, not of a model."""
    import tracemalloc

    layers, size = 24, 128
    for name, seed in (("base", 0), ("finetuned", 1)):
        generator = torch.Generator().manual_seed(seed)
        tensors = {
            f"model.layers.{n}.mlp.up_proj.weight": torch.randn(size, size, generator=generator)
            for n in range(layers)
        }
        tensors["model.embed_tokens.weight"] = torch.randn(40 * size, size, generator=generator)
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps({"model_type": "llama"}))
    one = 4 * size * size
    monkeypatch.setattr("superpose.extraction.change.CHUNK", size * size // 4)
    extract(tmp_path / "base", tmp_path / "finetuned", rank=1)  # what is imported once
    tracemalloc.start()
    found = extract(tmp_path / "base", tmp_path / "finetuned", rank=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.modules) == layers
    # A dense SVD in float64 takes some 14 times the float32 difference; all layers would take 24.
    assert peak < 16 * one < layers * one
