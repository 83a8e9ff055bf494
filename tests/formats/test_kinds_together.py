"""Kinds of adapters that meet in one sum: it is right in the model, or refused by name.

The oracle is that of `kinds`: PEFT's own deltas, added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from safetensors.numpy import load_file
from tests.formats.kinds import (
    CLOSE,
    Attention,
    classifier,
    distance,
    experts,
    gpt2,
    llama,
    make,
    opt,
    plain,
    quietly,
    seeded,
    tied_llama,
)

import superpose
from superpose.adapter import Adapter, Delta, Place
from superpose.baking import prove_sum
from superpose.compose import OnBase
from superpose.errors import BadInput, Refused
from superpose.files.checkpoint import Checkpoint

Parents = list[tuple[Mapping[str, Any], float]]
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
EMBEDDING = {"target_modules": ["embed_tokens", "q_proj"]}
TIED = {**EMBEDDING, "ensure_weight_tying": True}
TIED_MODULE = {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}
ATTENTION = {"target_modules": ["attention", "linear"]}
HEAD = {"task_type": "SEQ_CLS", "target_modules": ["query"]}
HEAD_AND_BIASES = {**HEAD, "bias": "all"}
ROWS = {"trainable_token_indices": [1, 2]}


def attention() -> Any:
    return plain(Attention)


def roberta() -> Any:
    """Its head has two layers, both of them inside the module that is saved."""
    config = transformers.RobertaConfig(
        num_hidden_layers=1, hidden_size=32, intermediate_size=48, num_attention_heads=4,
        vocab_size=61, max_position_embeddings=64, num_labels=3, pad_token_id=0,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return seeded(transformers.RobertaForSequenceClassification, config)


def made(folder: Path, base: Callable[[], Any], parents: Parents) -> list[tuple[Path, float]]:
    """Train nothing and write adapters of random values: their folders, with the task weights."""
    paths = []
    for number, (settings, weight) in enumerate(parents):
        make(folder / f"{number}", base(), settings, number)
        paths.append((folder / f"{number}", weight))
    return paths


def summed(paths: list[tuple[Path, float]]) -> Adapter:
    return superpose.exact_sum([superpose.load(p) for p, _ in paths], [w for _, w in paths])


def with_base(total: Adapter, base: Callable[[], Any], folder: Path) -> Adapter:
    base().save_pretrained(folder / "base")
    return OnBase(Checkpoint.open(folder / "base")).of(total)


# What is right without the base model.
FREE: dict[str, tuple[Callable[[], Any], Parents]] = {
    "rsLoRA on experts": (
        experts,
        [({"target_parameters": EXPERTS, "use_rslora": True}, 1.0),
         ({"target_parameters": EXPERTS}, -0.7)],
    ),
    "patterns of nn.MultiheadAttention": (
        attention,
        [({**ATTENTION, "rank_pattern": {"attention": 2}, "alpha_pattern": {"attention": 11}}, 1.0),
         ({**ATTENTION, "use_rslora": True}, -0.7)],
    ),
    "biases of nn.MultiheadAttention": (
        attention, [({**ATTENTION, "bias": "all"}, 0.3), ({**ATTENTION, "bias": "lora_only"}, 0.7)]
    ),
    "lora_bias of nn.MultiheadAttention": (
        attention,
        [({**ATTENTION, "lora_bias": True}, 0.5), ({"target_modules": ["attention"]}, -0.7)],
    ),
    "lora_bias with patterns": (
        opt,
        [({"target_modules": ["q_proj", "fc1"], "lora_bias": True, "use_rslora": True,
           "alpha_pattern": {"fc1": 3}, "rank_pattern": {"q_proj": 2}}, 1.0),
         ({"target_modules": ["v_proj"]}, -0.7)],
    ),
    "three tied layers": (tied_llama, [(TIED, 1.0), (TIED, -0.7), (TIED, 0.3)]),
    "tied layers and a saved module": (
        tied_llama, [(TIED, 1.0), ({"modules_to_save": ["norm"]}, 1.0)]
    ),
    "a tied layer of another rank": (
        tied_llama, [({**TIED, "rank_pattern": {"embed_tokens": 2}}, 1.0), (TIED, -0.7)]
    ),
    "a tied layer of another alpha": (
        tied_llama, [({**TIED, "alpha_pattern": {"embed_tokens": 20}}, 1.0), (TIED, -0.7)]
    ),
    "a head of two layers": (roberta, [(HEAD_AND_BIASES, 0.3), (HEAD_AND_BIASES, 0.7)]),
    "ten tenths": (classifier, [({"task_type": "SEQ_CLS"}, 0.1)] * 10),
    "a head of weight zero": (
        classifier, [({"task_type": "SEQ_CLS"}, 0.0), ({"target_modules": ["v_proj"]}, 0.5)]
    ),
    "Conv1D and its embedding": (
        gpt2,
        [({"target_modules": ["wte", "c_proj"], "ensure_weight_tying": True}, 0.4),
         ({"target_modules": ["wte", "c_attn", "c_proj"]}, 1.0)],
    ),
}  # fmt: skip

# What is right with it.
BASED: dict[str, tuple[Callable[[], Any], Parents]] = {
    "an embedding and itself stored": (
        llama, [(EMBEDDING, 0.4), ({"modules_to_save": ["embed_tokens"]}, 1.0)]
    ),
    "an output layer and itself stored": (
        llama, [({"target_modules": ["lm_head"]}, 0.4), ({"modules_to_save": ["lm_head"]}, 0.6)]
    ),
    "a tied embedding and itself stored": (tied_llama, [(TIED, 0.5), (TIED_MODULE, 1.0)]),
    "a layer inside a stored head": (
        roberta, [(HEAD, 1.0), ({"target_modules": ["dense"]}, 0.7)]
    ),
    "a square Conv1D and its parent stored": (
        gpt2,
        [({"target_modules": ["c_proj"], "bias": "all"}, 0.4),
         ({"target_modules": ["c_attn"], "modules_to_save": ["attn.c_proj", "mlp"]}, 0.7)],
    ),
    "a lora_bias and its module stored": (
        opt,
        [({"target_modules": ["fc2", "q_proj"], "lora_bias": True}, 0.4),
         ({"modules_to_save": ["fc2"], "bias": "all"}, 0.7)],
    ),
    "a bias and its module stored": (
        opt, [({"bias": "all"}, 0.4), ({"modules_to_save": ["fc2", "final_layer_norm"]}, 0.7)]
    ),
    "biases of a head of two layers": (
        roberta, [(HEAD_AND_BIASES, 1.0), ({**HEAD, "bias": "lora_only"}, 0.7)]
    ),
    "rows of a stored embedding": (
        llama, [(ROWS, 0.5), ({"modules_to_save": ["embed_tokens"]}, 1.0)]
    ),
    "rows of a tied stored embedding": (tied_llama, [(ROWS, 0.5), (TIED_MODULE, 1.0)]),
    "rows of both ends": (
        llama,
        [({"trainable_token_indices": {"embed_tokens": [1, 2], "lm_head": [3]}}, 0.5),
         ({"trainable_token_indices": {"lm_head": [1, 2]}}, 0.7)],
    ),
}  # fmt: skip


@quietly
@pytest.mark.parametrize("kind", FREE)
def test_what_needs_no_base_is_right_in_the_model(kind: str, tmp_path: Path) -> None:
    base, parents = FREE[kind]
    paths = made(tmp_path, base, parents)
    superpose.save(summed(paths), tmp_path / "sum")
    assert distance(base, paths, tmp_path / "sum") < CLOSE


@quietly
@pytest.mark.parametrize("kind", BASED)
def test_what_one_adapter_stores_and_another_changes_is_right_with_the_base(
    kind: str, tmp_path: Path
) -> None:
    base, parents = BASED[kind]
    paths = made(tmp_path, base, parents)
    total = summed(paths)
    with pytest.raises(BadInput, match="--base"):
        superpose.save(total, tmp_path / "sum")
    assert not (tmp_path / "sum").exists()
    superpose.save(with_base(total, base, tmp_path), tmp_path / "sum")
    assert distance(base, paths, tmp_path / "sum") < CLOSE
    proof = prove_sum(total, superpose.load(tmp_path / "sum"), tmp_path / "base")
    assert not proof.failures
    wrong = superpose.exact_sum([superpose.load(p) for p, _ in paths], [0.5, 0.5])
    assert prove_sum(wrong, superpose.load(tmp_path / "sum"), tmp_path / "base").failures


@quietly
def test_rows_that_count_for_both_ends_are_not_put_into_one(tmp_path: Path) -> None:
    """PEFT changes the output layer of a tied base too, which nothing would say any more."""
    both = {"trainable_token_indices": {"embed_tokens": [1, 2], "lm_head": [3]}}
    for number, (other, problem) in enumerate(
        (
            ({"modules_to_save": ["embed_tokens"]}, "stores one of the two"),
            (both, "cannot say both"),
        )
    ):
        paths = made(tmp_path / f"{number}", tied_llama, [(ROWS, 0.5), (other, 1.0)])
        with pytest.raises(Refused, match=problem):
            with_base(summed(paths), tied_llama, tmp_path)


@quietly
def test_a_copy_of_the_base_does_not_overwrite_what_another_adapter_stores(tmp_path: Path) -> None:
    paths = made(tmp_path, llama, [({}, 1.0), ({"modules_to_save": ["lm_head"]}, 1.0)])
    resized, stored = (superpose.load(path) for path, _ in paths)
    copies = {"lm_head.weight": llama().lm_head.weight.detach().numpy()}
    resized = Adapter(resized.deltas, base_model=resized.base_model, copies=copies)
    superpose.save(resized + stored, tmp_path / "sum")
    assert distance(llama, paths, tmp_path / "sum") < CLOSE


@quietly
def test_what_peft_would_not_load_is_not_written(tmp_path: Path) -> None:
    """Nothing but stored tensors, once the factors have gone into them."""
    parents: Parents = [
        ({"target_modules": ["fc2"], "modules_to_save": ["fc1"]}, 0.4),
        ({"target_modules": ["fc1"], "modules_to_save": ["fc2"]}, 0.7),
    ]
    total = with_base(summed(made(tmp_path, opt, parents)), opt, tmp_path)
    assert not total.deltas
    with pytest.raises(Refused, match="no such adapter"):
        superpose.save(total, tmp_path / "sum")


def test_a_bias_without_factors_beside_it_is_not_left_out_without_a_word(tmp_path: Path) -> None:
    B, A = np.ones((2, 1)), np.ones((1, 1))
    deltas = {
        "q": Delta.of(B, A),
        "v.bias": Delta.of(B, A, place=Place("v", "bias", "bias")),
    }
    with pytest.raises(Refused, match=r"`v\.bias` has no factors beside it"):
        superpose.save(Adapter(deltas), tmp_path / "sum")


@quietly
def test_a_task_weight_of_zero_asks_for_no_base_and_leaves_its_name(tmp_path: Path) -> None:
    base, parents = FREE["a head of weight zero"]
    paths = made(tmp_path, base, parents)
    total = summed(paths)
    assert total.name == "0*0 + 0.5*1"
    assert [parent.weight for parent in total.parents] == [0.0, 0.5]
    assert not total.replacements
    superpose.save(total, tmp_path / "sum")
    config = json.loads((tmp_path / "sum" / "adapter_config.json").read_text())
    assert config["modules_to_save"] is None
    assert not any("q_proj" in n for n in load_file(tmp_path / "sum/adapter_model.safetensors"))


@quietly
def test_rows_beside_factors_of_their_embedding_are_sent_to_bake(tmp_path: Path) -> None:
    paths = made(tmp_path, llama, [(EMBEDDING, 1.0), (ROWS, 1.0)])
    with pytest.raises(Refused, match="cannot hold both") as caught:
        superpose.save(summed(paths), tmp_path / "sum")
    assert caught.value.hint == "superpose bake BASE ADAPTERS writes the exact model."
