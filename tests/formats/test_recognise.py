"""What is not a PEFT folder of LoRA factors is named as what it is."""

from __future__ import annotations

import errno
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose
from superpose.errors import BadInput, Refused

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 133\n"


def folder_with(tmp_path: Path, **files: Any) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        if isinstance(content, dict) and path.suffix == ".safetensors":
            save_file(content, path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


TENSOR = np.ones((2, 2), np.float32)

OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "mlx config": (
        {"adapter_config__json": {"fine_tune_type": "lora", "lora_parameters": {"rank": 8}}},
        "an MLX adapter without its weights",
    ),
    "mlx weights": ({"adapters__safetensors": {"a": TENSOR}}, "an MLX adapter"),
    "adapterhub": (
        {"adapter_config__json": {"config": {"r": 8}, "model_class": "BertAdapterModel"}},
        "an AdapterHub adapter",
    ),
    "adapterhub weights": ({"pytorch_adapter__bin": b"\x80\x02"}, "an AdapterHub adapter"),
    "diffusers renamed": ({"style__safetensors": {"unet.q.lora_A.weight": TENSOR}}, "a diffusers"),
    "kohya": ({"style__safetensors": {"lora_unet_x.lora_down.weight": TENSOR}}, "a kohya LoRA"),
    "lerobot": (
        {"adapter_config__json": {"type": "act", "n_obs_steps": 1, "input_features": {}}},
        "lerobot",
    ),
    "bare": ({"adapter_config__json": {"r": 16, "lora_alpha": 32}}, "no `peft_type`"),
    "other json": ({"adapter_config__json": {"a": 1}}, "is not a PEFT configuration"),
    "full model": (
        {"config__json": {"model_type": "gpt2"}, "model__safetensors": {"a": TENSOR}},
        "is a full model",
    ),
    "prompt tuning": ({"adapter_config__json": {"peft_type": "PROMPT_TUNING"}}, "'PROMPT_TUNING'"),
    "vera": ({"adapter_config__json": {"peft_type": "VERA"}}, "'VERA'"),
    "lower case": ({"adapter_config__json": {"peft_type": "lora"}}, "'lora'"),
    "list as type": ({"adapter_config__json": {"peft_type": ["LORA"]}}, "type"),
    "pointer as config": ({"adapter_config__json": POINTER}, "git lfs pull"),
    "not json": ({"adapter_config__json": "{'r': 1}"}, "is not JSON"),
    "not utf-8": ({"adapter_config__json": b"\xff\xfe{"}, "is not JSON"),
    "deep": ({"adapter_config__json": "[" * 100_000}, "is not JSON"),
    "half a character": (
        {"adapter_config__json": {"peft_type": "LORA", "base_model_name_or_path": "a\ud800"}},
        "adapter_config.json: `base_model_name_or_path` holds half",
    ),
    "half in a list": ({"adapter_config__json": {"a": [{"b": "\udcff"}]}}, "`b` holds half"),
    "half a key": ({"adapter_config__json": {"a\udcff": 1}}, r"`a\udcff` holds half"),
    "list": ({"adapter_config__json": "[]"}, "no JSON object"),
    "no weights": ({"adapter_config__json": {"peft_type": "LORA"}}, "safetensors is missing"),
    "pickle": (
        {"adapter_config__json": {"peft_type": "LORA"}, "adapter_model__bin": b"\x80\x02"},
        "convert it once",
    ),
    "no config": ({"adapter_model__safetensors": {"a": TENSOR}}, "adapter_config.json is missing"),
    "empty": ({}, "it holds nothing"),
    "other files": ({"notes__txt": "hello"}, "it holds notes.txt"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_a_foreign_folder_is_named_as_what_it_is(case: str, tmp_path: Path) -> None:
    files, words = OTHERS[case]
    folder = folder_with(tmp_path, **files)
    with pytest.raises(BadInput) as caught:
        superpose.load(folder)
    assert words in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are Unix's")
def test_a_pipe_in_place_of_the_configuration_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "adapter_config.json")
    with pytest.raises(BadInput, match=r"adapter_config\.json: is not a file"):
        superpose.load(tmp_path)


def test_a_byte_order_mark_before_the_configuration_is_passed_over(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a")
    config = folder / "adapter_config.json"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert len(superpose.load(folder)) == 2


@pytest.mark.parametrize("closed", ["adapter_config.json", "adapter_model.safetensors", "a"])
def test_a_folder_that_nobody_may_search_is_said_to_be(
    closed: str, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter("a")
    usual = os.stat

    def stat(path: object, **options: Any) -> os.stat_result:
        if str(path).endswith(f"/{closed}"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return usual(path, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(BadInput, match="cannot be read: Permission denied") as caught:
        superpose.load(folder)
    assert str(caught.value.where).startswith(str(folder))


def test_a_folder_of_checkpoints_says_which_ones(write_adapter: WriteAdapter) -> None:
    inner = write_adapter("run/checkpoint-20")
    with pytest.raises(BadInput, match="checkpoint-20"):
        superpose.load(inner.parent)


def test_the_hub_is_not_asked_for_a_mistyped_path(
    write_adapter: WriteAdapter, monkeypatch: Any
) -> None:
    folder = write_adapter("runs/math")
    monkeypatch.chdir(folder.parent.parent)
    with pytest.raises(BadInput, match="no such folder"):
        superpose.load("runs/maths")


STRANGE = {
    "base_model.model.q.lora_diag": "KaSA",
    "base_model.model.q.lora_A.bias": "a bias of A",
    "base_model.model.q.lora_A.default.weight": "an adapter's name",
    "model.q.lora_A.weight": "without the prefix",
    "lora_unet_x.lora_down.weight": "kohya",
    "base_model.model.q.hada_w1_a": "LoHa",
    "base_model.model.q.lokr_w1": "LoKr",
    "something": "without the prefix",
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_tensor_that_no_sum_can_hold_is_refused_by_name(
    write_adapter: WriteAdapter, name: str
) -> None:
    folder = write_adapter("a")
    path = folder / "adapter_model.safetensors"
    save_file({**load_file(path), name: TENSOR}, path)
    with pytest.raises(Refused) as caught:
        superpose.load(folder)
    assert f"`{name}`" in str(caught.value)
    assert STRANGE[name] in str(caught.value)


DAMAGED = {
    "base_model.model.q.lora_magnitude_vector": "DoRA",
    "base_model.model.q.lora_B.bias": "does not fit the factors",
    "base_model.model.embed_tokens.lora_embedding_A": "no partner",
    "base_model.model.e.token_adapter.trainable_tokens_delta": "trainable_token_indices",
    "base_model.model.conv.lora_A.weight": "no partner",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_tensor_that_nothing_else_of_the_folder_knows_of_is_damage(
    write_adapter: WriteAdapter, name: str
) -> None:
    folder = write_adapter("a")
    path = folder / "adapter_model.safetensors"
    save_file({**load_file(path), name: TENSOR}, path)
    with pytest.raises(BadInput, match=DAMAGED[name]):
        superpose.load(folder)


def test_what_acts_in_training_alone_is_dropped(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    path = folder / "adapter_model.safetensors"
    extras = ("q.lora_velora_embed", "q.lora_monteclora_sampler.x", "score.original_module.weight")
    save_file({**load_file(path), **{f"base_model.model.{n}": TENSOR for n in extras}}, path)
    adapter = superpose.load(folder)
    assert len(adapter) == 2
    assert not adapter.replacements
    assert not adapter.copies


def test_what_an_old_peft_called_a_saved_module_is_that_module(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a", modules_to_save=["score"])
    path = folder / "adapter_model.safetensors"
    old = {f"base_model.model.score.modules_to_save.{n}": TENSOR for n in ("weight", "default.x.y")}
    save_file({**load_file(path), **old}, path)
    found = superpose.load(folder).replacements
    assert {(key, r.owner) for key, r in found.items()} == {
        ("score.weight", "score"), ("score.x.y", "score"),
    }  # fmt: skip


def test_a_tensor_of_integers_is_refused_for_its_dtype(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    path = folder / "adapter_model.safetensors"
    save_file({**load_file(path), "base_model.model.head.weight": np.ones(2, np.int64)}, path)
    with pytest.raises(BadInput, match=r"`base_model.model.head.weight` is I64"):
        superpose.load(folder)


def test_a_module_whose_own_name_contains_lora_is_read(write_adapter: WriteAdapter) -> None:
    modules = ("model.lora_block.lora_A.q_proj", "model.lora_B.lora_A")
    assert set(superpose.load(write_adapter("a", modules=modules))) == set(modules)


@pytest.mark.parametrize("side", ["A", "B"])
def test_a_factor_without_its_partner_is_damage_that_names_the_missing_one(
    write_adapter: WriteAdapter, side: str
) -> None:
    folder = write_adapter("a")
    path = folder / "adapter_model.safetensors"
    gone = f"base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight"
    save_file({k: v for k, v in load_file(path).items() if k != gone}, path)
    with pytest.raises(BadInput, match="has no partner") as caught:
        superpose.load(folder)
    assert f"`{gone}` is missing" in str(caught.value)


@pytest.mark.parametrize("shape", [(16,), (0, 8), (3, 8)], ids=str)
def test_a_factor_that_is_no_matrix_of_the_right_rank_is_damage(
    write_adapter: WriteAdapter, shape: tuple[int, ...]
) -> None:
    folder = write_adapter("a")
    path = folder / "adapter_model.safetensors"
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({**load_file(path), name: np.ones(shape, np.float32)}, path)
    with pytest.raises(BadInput) as caught:
        superpose.load(folder)
    assert name in str(caught.value)


def test_a_file_without_any_tensor_holds_no_factors(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    save_file({}, folder / "adapter_model.safetensors")
    with pytest.raises(BadInput, match="holds no LoRA factors"):
        superpose.load(folder)


def test_what_is_no_linear_change_of_the_base_is_refused(oracle: Any, tmp_path: Path) -> None:
    import peft

    cases = {
        "use_dora": {"use_dora": True},
        "pissa": {"init_lora_weights": "pissa"},
        "olora": {"init_lora_weights": "olora"},
        "alora": {"alora_invocation_tokens": [1, 2]},
        "kasa": {"kasa_config": peft.tuners.lora.config.KasaConfig()},
    }
    for name, extra in cases.items():
        with oracle.quiet():
            settings = {"target_modules": ["q_proj"], "task_type": "CAUSAL_LM", **extra}
            model = peft.get_peft_model(oracle.llama(), peft.LoraConfig(**settings))
            model.save_pretrained(tmp_path / name)
        with pytest.raises(Refused, match=name):
            superpose.load(tmp_path / name)
        shutil.rmtree(tmp_path / name)


def test_a_bias_flag_counts_where_the_model_has_biases(oracle: Any, tmp_path: Path) -> None:
    import peft

    for name, biases in {"llama": 0, "gpt2": 13}.items():
        targets = {"llama": ["q_proj"], "gpt2": ["c_attn"]}[name]
        with oracle.quiet():
            config = peft.LoraConfig(bias="all", target_modules=targets)
            peft.get_peft_model(oracle.MODELS[name](), config).save_pretrained(tmp_path / name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapter = superpose.load(tmp_path / name)
        assert len(adapter) == 2
        assert len(adapter.replacements) == biases
