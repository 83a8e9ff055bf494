"""Every kind of thing that a PEFT LoRA folder can hold: the sum is PEFT's own deltas, added."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.numpy import load_file
from tests.formats.kinds import (
    CLOSE,
    SMALL,
    Attention,
    Convolutions,
    classifier,
    distance,
    experts,
    llama,
    make,
    opt,
    plain,
    quietly,
    seeded,
    tied_llama,
)
from torch import nn

import superpose
from superpose.adapter import Adapter, Delta, Place, unpooled
from superpose.compose import OnBase
from superpose.errors import BadInput, DifferentBase, Refused
from superpose.files.checkpoint import Checkpoint

BLOCKS = {"target_modules_bd_a": ["q_proj"], "target_modules_bd_b": ["o_proj"], "nblocks": 2}

# What is changed by deltas alone: any task weights, no base.
DELTAS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "lora_bias": (opt, {"lora_bias": True}),
    "embedding": (llama, {"target_modules": ["embed_tokens", "q_proj"]}),
    "output layer": (llama, {"target_modules": ["lm_head", "q_proj"]}),
    "embedding of a tied base": (tied_llama, {"target_modules": ["embed_tokens", "q_proj"]}),
    "tied embedding": (
        tied_llama,
        {"target_modules": ["embed_tokens", "q_proj"], "ensure_weight_tying": True},
    ),
    "convolutions": (
        lambda: plain(Convolutions),
        {"target_modules": ["one", "two", "three", "linear"], "rank_pattern": {"two": 2}},
    ),
    "attention": (lambda: plain(Attention), {"target_modules": ["attention", "linear"]}),
    "experts": (
        experts,
        {
            "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
            "rank_pattern": {"experts.down_proj": 3},
            "alpha_pattern": {"0.mlp.experts.gate_up_proj": 5},
        },
    ),
    "one parameter of experts": (experts, {"target_parameters": ["experts.down_proj"]}),
    "a weight as a parameter": (
        llama,
        {"target_modules": ["o_proj"], "target_parameters": ["0.self_attn.q_proj.weight"]},
    ),
    "block-diagonal": (
        llama,
        {
            "target_modules": ["q_proj", "o_proj"],
            "use_bdlora": peft.tuners.lora.BdLoraConfig(**BLOCKS),
        },
    ),
}  # fmt: skip

# What is stored absolutely: no base where the task weights sum to 1.
WHOLE: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "bias all": (opt, {"bias": "all"}),
    "bias lora_only": (opt, {"bias": "lora_only"}),
    "module": (llama, {"modules_to_save": ["lm_head", "norm"]}),
    "head": (classifier, {"task_type": "SEQ_CLS"}),
    "head and biases": (classifier, {"task_type": "SEQ_CLS", "bias": "all"}),
    "tied module": (
        tied_llama,
        {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    ),
    "rows": (llama, {"trainable_token_indices": [5, 3]}),
    "rows of a tied base": (tied_llama, {"trainable_token_indices": {"embed_tokens": [3, 5]}}),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """Give the adapter of a kind, made by PEFT with random values once a module."""
    root = tmp_path_factory.mktemp("kinds")

    def give(kind: str, seed: int) -> Path:
        path = root / f"{kind}-{seed}"
        if not path.exists():
            base, settings = (DELTAS | WHOLE)[kind]
            make(path, base(), settings, seed)
        return path

    return give


@quietly
@pytest.mark.parametrize("compact", [False, True], ids=["portable", "compact"])
@pytest.mark.parametrize("kind", DELTAS)
def test_a_sum_of_deltas_is_the_sum_in_the_model(
    kind: str, compact: bool, made: Any, tmp_path: Path
) -> None:
    parents = [(made(kind, 0), 1.0), (made(kind, 1), -0.7)]
    total = superpose.exact_sum([superpose.load(p) for p, _ in parents], [w for _, w in parents])
    superpose.save(total, tmp_path / "sum", compact=compact)
    assert distance(DELTAS[kind][0], parents, tmp_path / "sum") < CLOSE


@quietly
@pytest.mark.parametrize("kind", WHOLE)
def test_stored_tensors_whose_weights_sum_to_1_need_no_base(
    kind: str, made: Any, tmp_path: Path
) -> None:
    parents = [(made(kind, 0), 0.3), (made(kind, 1), 0.7)]
    total = superpose.exact_sum([superpose.load(p) for p, _ in parents], [w for _, w in parents])
    superpose.save(total, tmp_path / "sum")
    assert distance(WHOLE[kind][0], parents, tmp_path / "sum") < CLOSE


@quietly
@pytest.mark.parametrize("kind", WHOLE)
def test_stored_tensors_of_other_weights_need_the_base_and_are_right_with_it(
    kind: str, made: Any, tmp_path: Path
) -> None:
    base = WHOLE[kind][0]
    parents = [(made(kind, 0), 1.0), (made(kind, 1), -0.7)]
    total = superpose.exact_sum([superpose.load(p) for p, _ in parents], [w for _, w in parents])
    with pytest.raises(BadInput, match="--base"):
        superpose.save(total, tmp_path / "sum")
    assert not (tmp_path / "sum").exists()
    base().save_pretrained(tmp_path / "base")
    resolved = OnBase(Checkpoint.open(tmp_path / "base")).of(total)
    superpose.save(resolved, tmp_path / "sum")
    assert distance(base, parents, tmp_path / "sum") < CLOSE


@quietly
@pytest.mark.parametrize("kind", [*DELTAS, *WHOLE])
def test_one_adapter_of_weight_1_is_that_adapter_again(
    kind: str, made: Any, tmp_path: Path
) -> None:
    path = made(kind, 0)
    adapter = superpose.load(path)
    superpose.save(adapter, tmp_path / "copy")
    again = superpose.load(tmp_path / "copy")
    assert distance((DELTAS | WHOLE)[kind][0], [(path, 1.0)], tmp_path / "copy") < CLOSE
    assert list(again) == list(adapter)
    assert again.tied == adapter.tied
    assert again.copies.keys() == adapter.copies.keys()
    for key, replacement in adapter.replacements.items():
        assert np.array_equal(again.replacements[key].value(), replacement.value())


@quietly
def test_two_kinds_add_into_one_adapter(made: Any, tmp_path: Path) -> None:
    for one, other, base in (
        ("embedding", "module", llama),
        ("experts", "one parameter of experts", experts),
        ("embedding of a tied base", "tied embedding", tied_llama),
        ("block-diagonal", "output layer", llama),
        ("lora_bias", "bias lora_only", opt),
    ):
        parents = [(made(one, 0), -0.7), (made(other, 1), 1.0)]
        total = superpose.exact_sum([superpose.load(p) for p, _ in parents], [-0.7, 1.0])
        superpose.save(total, tmp_path / one)
        assert distance(base, parents, tmp_path / one) < CLOSE, (one, other)


@quietly
def test_rows_that_only_some_adapters_have_join_the_union(made: Any, tmp_path: Path) -> None:
    make(tmp_path / "other", llama(), {"trainable_token_indices": [5, 7]}, 3)
    parents = [(made("rows", 0), 1.0), (tmp_path / "other", 0.5)]
    total = superpose.exact_sum([superpose.load(p) for p, _ in parents], [1.0, 0.5])
    assert {key for key, r in total.replacements.items() if r.needs_base} == {
        "model.embed_tokens.weight[5]", "model.embed_tokens.weight[7]",
    }  # fmt: skip
    llama().save_pretrained(tmp_path / "base")
    superpose.save(OnBase(Checkpoint.open(tmp_path / "base")).of(total), tmp_path / "sum")
    assert distance(llama, parents, tmp_path / "sum") < CLOSE


@quietly
def test_pooled_inputs_are_what_peft_computes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(3, 4)), rng.normal(size=(5, 3))
    x = rng.normal(size=(7, 32))
    layers = {side: nn.Linear(1, 1, bias=False).double() for side in "AB"}
    for side, factor in (("A", A), ("B", B)):
        layers[side].weight = nn.Parameter(torch.from_numpy(factor))
    module = SimpleNamespace(
        lora_A={"x": layers["A"]}, lora_B={"x": layers["B"]}, lora_dropout={"x": nn.Identity()},
        scaling={"x": 1.5}, qalora_group_size={"x": 8}, in_features=32, training=False,
    )  # fmt: skip
    variant = peft.tuners.lora.variants.QALoraLinearVariant
    with torch.no_grad():
        right = variant.forward(module, "x", torch.from_numpy(x), torch.zeros(7, 5).double())
    delta = Delta.of(B, A, 1.5, Place("q", pooled=8))
    ((c, b, a),) = unpooled(delta).terms
    np.testing.assert_allclose(x @ (c * b @ a).T, right.numpy(), rtol=1e-12)


def test_pooled_adapters_stay_pooled_until_one_that_is_not_tells_their_width(
    write_adapter: Any, tmp_path: Path
) -> None:
    modules = ("model.layers.0.self_attn.q_proj",)
    flag = {"use_qalora": True, "qalora_group_size": 4, "modules": modules}
    narrow = [superpose.load(write_adapter(f"p{i}", seed=i, **flag)) for i in range(2)]
    superpose.save(narrow[0] + narrow[1], tmp_path / "pooled")
    again = superpose.load(tmp_path / "pooled")[modules[0]]
    assert again.place == Place(modules[0], pooled=4)
    assert again.shape == (8, 8)

    def wide_one(name: str, width: int) -> Adapter:
        rng = np.random.default_rng(1)
        delta = Delta.of(rng.normal(size=(8, 2)), rng.normal(size=(2, width)))
        return Adapter({modules[0]: delta}, name, base_model="org/tiny-llama")

    assert (narrow[0] + wide_one("wide", 32))[modules[0]].shape == (8, 32)
    ((_, _, a), *_) = (narrow[0] + wide_one("ignored", 8))[modules[0]].terms
    assert a.shape == (2, 8)
    with pytest.raises(DifferentBase):
        narrow[0] + wide_one("other", 24)


@quietly
def test_replicated_layers_add_to_the_same_replication_alone(tmp_path: Path) -> None:
    for seed in (0, 1):
        make(tmp_path / f"{seed}", llama(), {"layer_replication": [[0, 2], [1, 2]]}, seed)
    x, y = (superpose.load(tmp_path / f"{seed}") for seed in (0, 1))
    superpose.save(x - y, tmp_path / "sum")
    model = peft.PeftModel.from_pretrained(llama(), tmp_path / "sum")
    assert len(model.base_model.model.model.layers) == 3
    files = [load_file(tmp_path / n / "adapter_model.safetensors") for n in ("0", "1")]
    for layer in range(3):
        key = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_"
        right = sum(
            sign * 1.5 * f[f"{key}B.weight"].astype(float) @ f[f"{key}A.weight"]
            for sign, f in zip((1, -1), files, strict=True)
        )
        module = model.base_model.model.model.layers[layer].self_attn.q_proj
        ours = module.get_delta_weight("default").detach().numpy()
        np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-5)
    make(tmp_path / "plain", llama(), {}, 2)
    with pytest.raises(Refused, match="layer_replication"):
        x + superpose.load(tmp_path / "plain")


@quietly
def test_a_copy_of_another_bases_embedding_is_refused(made: Any, tmp_path: Path) -> None:
    other = llama()
    with torch.no_grad():
        other.model.embed_tokens.weight += 0.1
    settings = {"target_modules": ["embed_tokens", "q_proj"]}
    make(tmp_path / "other", copy.deepcopy(other), settings, 4)
    with pytest.raises(DifferentBase, match="embed_tokens"):
        superpose.load(made("embedding", 0)) + superpose.load(tmp_path / "other")
    llama().save_pretrained(tmp_path / "base")
    with pytest.raises(DifferentBase, match="embed_tokens"):
        OnBase(Checkpoint.open(tmp_path / "base")).of(superpose.load(tmp_path / "other"))


@quietly
def test_heads_of_other_sizes_have_no_sum(made: Any, tmp_path: Path) -> None:
    config = transformers.LlamaConfig(**SMALL, num_labels=5, pad_token_id=0)
    base = seeded(transformers.LlamaForSequenceClassification, config)
    make(tmp_path / "five", base, {"task_type": "SEQ_CLS"}, 2)
    with pytest.raises(DifferentBase, match=r"score\.weight"):
        superpose.load(made("head", 0)) + superpose.load(tmp_path / "five")
