"""What is written for vLLM has a rank of its list, scaling 1, and nothing that it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import superpose
from superpose.adapter import Adapter, Delta, Part, Place, Replacement, Stored
from superpose.errors import BadInput, Refused
from superpose.files import read_header
from superpose.formats.vllm import VLLM_RANKS, check_for_vllm, vllm_max_rank
from superpose.lowrank import dense

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

V = "model.layers.0.self_attn.v_proj"
CONFIG: dict[str, Any] = {"r": 8, "lora_alpha": 8, "target_modules": ["v_proj"]}
FACTORS = {
    f"base_model.model.{V}.lora_A.weight": (8, 16),
    f"base_model.model.{V}.lora_B.weight": (16, 8),
}


def delta(out: int = 8, width: int = 8, rank: int = 2, place: Place | None = None) -> Delta:
    rng = np.random.default_rng(0)
    B = rng.normal(size=(out, rank)).astype(np.float32)
    return Delta.of(B, rng.normal(size=(rank, width)).astype(np.float32), 1.5, place)


@pytest.mark.parametrize(("own", "written"), [(1, 1), (2, 8), (8, 8), (9, 16), (257, 320)])
def test_the_rank_is_the_least_of_the_list_that_is_enough(
    own: int, written: int, tmp_path: Path
) -> None:
    adapter = Adapter({V: delta(rank=own), V.replace("0", "1"): delta(rank=1)})
    assert superpose.save(adapter, tmp_path / "a", engine="vllm").rank == written
    config = json.loads((tmp_path / "a/adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == written
    assert written in VLLM_RANKS
    found = superpose.load(tmp_path / "a")
    for module in adapter:
        right = dense(adapter[module].terms)
        np.testing.assert_allclose(dense(found[module].terms), right, rtol=1e-4, atol=1e-4)


def test_more_than_the_list_holds_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="r is 513; at most 512"):
        superpose.save(Adapter({V: delta(rank=513)}), tmp_path / "a", engine="vllm")
    assert not (tmp_path / "a").exists()


def test_what_is_written_for_any_engine_passes_vllms_checks(
    write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    total = superpose.load(write_adapter("a")) - superpose.load(write_adapter("b", use_rslora=True))
    superpose.save(total, tmp_path / "sum")
    config = json.loads((tmp_path / "sum/adapter_config.json").read_text())
    entries = read_header(tmp_path / "sum/adapter_model.safetensors").entries
    check_for_vllm(config, {name: entry.shape for name, entry in entries.items()})


SETTINGS: dict[str, dict[str, Any]] = {
    "r is 600": {"r": 600},
    "bias is 'all'": {"bias": "all"},
    "modules_to_save": {"modules_to_save": ["lm_head"]},
    "use_dora": {"use_dora": True},
    "lora_bias": {"lora_bias": True},
    "alora_invocation_tokens": {"alora_invocation_tokens": [1]},
    "layer_replication": {"layer_replication": [[0, 4]]},
    "use_bdlora": {"use_bdlora": {"nblocks": 2}},
    "use_qalora": {"use_qalora": True},
    "trainable_token_indices": {"trainable_token_indices": [5]},
    "rank_pattern": {"rank_pattern": {"v_proj": 4}},
    "alpha_pattern": {"alpha_pattern": {"v_proj": 4}},
    "init_lora_weights is 'pissa'": {"init_lora_weights": "pissa"},
    "lora_alpha is missing": {"lora_alpha": None},
}


@pytest.mark.parametrize("words", SETTINGS)
def test_a_setting_that_vllm_refuses_or_does_not_read_is_refused_by_name(words: str) -> None:
    config = {k: v for k, v in {**CONFIG, **SETTINGS[words]}.items() if v is not None}
    with pytest.raises(Refused, match=words):
        check_for_vllm(config, FACTORS)


def test_settings_that_touch_no_weights_pass() -> None:
    harmless = {"lora_dropout": 0.1, "use_rslora": True, "bias": "none", "use_dora": False}
    check_for_vllm({**CONFIG, **harmless, "init_lora_weights": "gaussian"}, FACTORS)


TENSORS: dict[str, dict[str, tuple[int, ...]]] = {
    "lora_B.bias` is no factor": {f"base_model.model.{V}.lora_B.bias": (8,)},
    "lora_magnitude_vector` is no factor": {f"base_model.model.{V}.lora_magnitude_vector": (8,)},
    "default.weight` is no factor": {f"base_model.model.{V}.lora_A.default.weight": (8, 8)},
    "trainable_tokens_delta` is no factor": {
        "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": (1, 8)
    },
    "score.weight` is no factor": {"base_model.model.score.weight": (2, 8)},
    "4 dimensions": {"base_model.model.conv.lora_A.weight": (8, 3, 3, 3)},
    "300,000 rows": {"base_model.model.lm_head.lora_B.weight": (300_000, 8)},
    "gate_up and down, not one": {
        "base_model.model.model.layers.0.mlp.experts.lora_A.weight": (32, 8),
        "base_model.model.model.layers.0.mlp.experts.lora_B.weight": (8, 32),
    },
    "wrapped layer": {"base_model.model.attn.base_layer.out_proj.lora_A.weight": (8, 8)},
}


@pytest.mark.parametrize("words", TENSORS)
def test_a_tensor_that_vllm_does_not_load_is_refused_by_name(words: str) -> None:
    with pytest.raises(Refused, match=words):
        check_for_vllm(CONFIG, {**FACTORS, **TENSORS[words]})


def test_embeddings_experts_and_the_bases_own_tensors_pass() -> None:
    start = "base_model.model.model"
    stack = f"{start}.layers.0.mlp.experts"
    more: dict[str, tuple[int, ...]] = {
        f"{start}.embed_tokens.lora_embedding_A": (8, 61),
        f"{start}.embed_tokens.lora_embedding_B": (16, 8),
        f"{start}.embed_tokens.base_layer.weight": (61, 16),
        f"{stack}.3.gate_proj.lora_A.weight": (8, 16),
        **{f"{stack}{inner}.lora_{side}.weight": (32, 32) for inner in ("", ".base_layer")
           for side in "AB"},
    }  # fmt: skip
    check_for_vllm(CONFIG, {**FACTORS, **more})
    names = ["model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.experts.down_proj"]
    check_for_vllm({**CONFIG, "target_parameters": names}, {**FACTORS, **more})
    with pytest.raises(Refused, match=r"`model\.embed\.weight` is changed as a parameter, not"):
        check_for_vllm({**CONFIG, "target_parameters": [*names, "model.embed.weight"]}, FACTORS)


NOT_SERVED: dict[str, Adapter] = {
    "changed as a parameter": Adapter(
        {"model.embed": delta(place=Place("model.embed", kind="experts"))}
    ),
    "lora_bias": Adapter({V: delta(), f"{V}.bias": delta(8, 1, 1, Place(V, "bias", "bias"))}),
    "modules_to_save": Adapter(
        {V: delta()},
        replacements={
            "lm_head.weight": Replacement(
                (Part(1.0, Stored(np.ones((4, 8), np.float32))),),
                "lm_head.weight",
                owner="lm_head",
            )
        },
    ),
    "convolutions": Adapter(
        {"conv": delta(8, 9, 2, Place("conv", kind="convolution", kernel=(3, 3)))}
    ),
}


@pytest.mark.parametrize("words", NOT_SERVED)
def test_a_sum_that_vllm_does_not_serve_is_refused_and_nothing_is_written(
    words: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=words) as caught:
        superpose.save(NOT_SERVED[words], tmp_path / "a", engine="vllm")
    assert "superpose bake" in str(caught.value)
    assert not (tmp_path / "a").exists()
    superpose.save(NOT_SERVED[words], tmp_path / "a", engine="peft")


def test_modules_of_their_own_rank_are_not_for_vllm(tmp_path: Path) -> None:
    adapter = Adapter({V: delta(rank=4), V.replace("0", "1"): delta(rank=1)})
    with pytest.raises(Refused, match="rank_pattern"):
        superpose.save(adapter, tmp_path / "a", engine="vllm", compact=True)


@pytest.mark.parametrize("rank", [1, 7, 8, 16, 17, 300, 512])
def test_vllm_is_told_the_least_rank_that_serves(rank: int) -> None:
    least = vllm_max_rank(rank)
    assert least is not None
    assert least >= rank
    assert not any(rank <= value < least for value in VLLM_RANKS)
    assert vllm_max_rank(513) is None


@pytest.mark.parametrize(
    ("engine", "name", "words"),
    [
        ("ollama", "a", "'ollama' is no engine; there are peft, vllm, llama.cpp"),
        ("llama.cpp", "a", "Give a name that ends in .gguf"),
        ("vllm", "a.gguf", "Give a folder"),
        ("peft", "a.gguf", "Give a folder"),
    ],
)
def test_an_engine_and_a_path_that_do_not_agree_are_told_before_the_work(
    engine: str, name: str, words: str, tmp_path: Path
) -> None:
    for ask in (
        lambda: superpose.formats.check_output(tmp_path / name, engine=engine),
        lambda: superpose.save(Adapter({V: delta()}), tmp_path / name, engine=engine),
    ):
        with pytest.raises(BadInput) as caught:
            ask()
        assert words in str(caught.value)
