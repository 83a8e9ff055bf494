"""What is to be known of the base model: its configuration tells it, or its own GGUF file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import pytest

import superpose
from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, DifferentBase, MissingBase, Refused
from superpose.formats.gguf import Base, read_base

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

Config = Callable[..., Path]

Q = "model.layers.0.self_attn.q_proj"
V = "model.layers.0.self_attn.v_proj"


def delta() -> Delta:
    rng = np.random.default_rng(0)
    B, A = rng.normal(size=(8, 2)), rng.normal(size=(2, 8))
    return Delta.of(B.astype(np.float32), A.astype(np.float32))


@pytest.fixture
def llama(config_json: Config) -> Path:
    """The folder of a Llama with 4 heads, 2 of keys and values, output and embedding apart."""
    return config_json("LlamaForCausalLM", num_attention_heads=4, num_key_value_heads=2)


def test_without_the_base_it_says_what_to_give(tmp_path: Path, write_adapter: WriteAdapter) -> None:
    with pytest.raises(MissingBase, match="`org/tiny-llama` is not here") as caught:
        superpose.save(superpose.load(write_adapter("a")), tmp_path / "a.gguf")
    assert "--base" in str(caught.value)
    with pytest.raises(MissingBase, match="name no base model"):
        superpose.save(Adapter({V: delta()}), tmp_path / "a.gguf")


def test_a_base_that_the_adapter_names_and_that_is_here_needs_not_be_given(
    llama: Path, tmp_path: Path, write_adapter: WriteAdapter
) -> None:
    adapter = superpose.load(write_adapter("a", base_model=str(llama)))
    superpose.save(adapter, tmp_path / "a.gguf")
    embedded = superpose.load(write_adapter("b", width=576 // 3, base_model="smollm2"))
    assert embedded.base_model == "smollm2"
    with pytest.raises(BadInput, match="192 rows, which 9 heads cannot share"):
        superpose.save(embedded, tmp_path / "b.gguf")


def test_an_unknown_architecture_is_refused_by_name(config_json: Config, tmp_path: Path) -> None:
    base = config_json("MambaForCausalLM")
    with pytest.raises(Refused, match="MambaForCausalLM"):
        superpose.save(Adapter({V: delta()}), tmp_path / "a.gguf", base=base)


def test_another_base_than_the_files_is_refused(
    llama: Path, config_json: Config, tmp_path: Path
) -> None:
    superpose.save(Adapter({V: delta()}), tmp_path / "a.gguf", base=llama)
    with pytest.raises(DifferentBase, match=r"`llama`.*`qwen2`"):
        superpose.load(tmp_path / "a.gguf", base=config_json("Qwen2ForCausalLM"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "how many heads the base model has is not known"),
        ({"num_attention_heads": "four"}, "num_attention_heads is four, no count"),
        ({"num_attention_heads": 5}, "8 rows, which 5 heads cannot share"),
    ],
)
def test_a_configuration_without_usable_heads_is_told(
    settings: dict[str, Any], words: str, config_json: Config, tmp_path: Path
) -> None:
    base = config_json("LlamaForCausalLM", **settings)
    with pytest.raises((BadInput, MissingBase), match=words):
        superpose.save(Adapter({Q: delta()}), tmp_path / "a.gguf", base=base)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"architectures": []}', "[" * 100_000])
def test_a_damaged_configuration_is_bad_input(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BadInput, match=r"config\.json"):
        read_base(tmp_path)


def test_the_bases_own_gguf_file_tells_the_same_as_its_configuration(
    llama: Path, tmp_path: Path
) -> None:
    path = tmp_path / "base.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_tensor("output.weight", np.zeros((2, 2), np.float32))
    writer.add_token_list(["a", "b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert read_base(path) == read_base(llama)


def test_the_numbers_of_a_base_go_through_text() -> None:
    base = read_base("smollm2")
    assert (base.heads, base.kv_heads, base.tied) == (9, 3, True)
    assert Base.from_json(base.to_json()) == base
    fields = json.loads(base.to_json())
    for damaged in (
        {"heads": -1},
        {"heads": "9"},
        {"tied": 1},
        {"architecture": "x"},
        {"experts": []},
    ):
        assert Base.from_json(json.dumps({**fields, **damaged})) is None
    for text in ("", "[]", "null", "[" * 100_000):
        assert Base.from_json(text) is None


def test_a_hub_names_configuration_is_taken_from_the_hubs_cache_without_asking(
    llama: Path, tmp_path: Path, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "hub" / "models--org--tiny-llama"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_bytes((llama / "config.json").read_bytes())
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    adapter = superpose.load(write_adapter("a", base_model="org/tiny-llama"))
    superpose.save(adapter, tmp_path / "a.gguf")
    found = superpose.load(tmp_path / "a.gguf")
    assert found.cosine(adapter) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["org/nowhere", "no such folder", "org/name@what?"])
def test_a_base_that_is_nowhere_is_missing(name: str) -> None:
    with pytest.raises(MissingBase) as caught:
        read_base(name)
    assert name in str(caught.value)
