"""What lies beside an adapter is carried, or named and said not to be in what is written."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import superpose as library
from superpose.errors import SuperposeWarning
from superpose.files import read_header
from superpose.verbs.push import own_files

if TYPE_CHECKING:
    from tests.conftest import Superpose, WriteAdapter
    from tests.loopback_hub import Hub

TRAINED = {
    "non_lora_trainables.bin": "LLaVA's projector",
    "non_lora_trainables.safetensors": "LLaVA's projector",
    "mm_projector.bin": "a projector",
    "value_head.safetensors": "a value head",
    "value_head.bin": "a value head",
    "v_head.pt": "a value head",
    "pytorch_model.bin": "trl stores of a head",
    "model.safetensors": "trl stores of a head",
    "classifier.pt": "a head",
    "reward_head.pth": "a head",
    "new_embeddings.safetensors": "embeddings",
    "mystery.ckpt": "weights that superpose does not know",
    "state.pt": "weights that superpose does not know",
    "adapter_model (1).safetensors": "weights that superpose does not know",
    "projector/weights.pt": "weights that superpose does not know",
}

NOISE = (
    "README.md adapter_model.bin training_args.bin optimizer.pt optimizer.bin scheduler.pt "
    "scaler.pt rng_state.pth rng_state_0.pth trainer_state.json all_results.json .gitattributes "
    "LICENSE.txt samples.png events.out.tfevents.1 runs/x/events.pt log.txt config.yaml "
    "checkpoint-500/adapter_model.safetensors checkpoint-500/optimizer.pt "
    "global_step500/mp_rank_00_model_states.pt zero_to_fp32.py latest ggml-adapter-model.bin "
    "other/adapter_config.json other/adapter_model.safetensors other/value_head.bin "
    "base/config.json base/model.safetensors training.json 0000100_adapters.safetensors"
).split()

TOKENIZER = {
    "tokenizer.json": b'{"added_tokens": []}',
    "tokenizer_config.json": b"{}",
    "added_tokens.json": b'{"<x>": 32000}',
    "special_tokens_map.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "vocab.txt": b"a\nb\n",
}


def put(folder: Path, name: str, content: bytes = b"\x80\x02") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".safetensors"):
        save_file({"x.weight": np.ones((1, 2), np.float32)}, folder / name)
    else:
        (folder / name).write_bytes(content)


def said_by(action: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(w.message) for w in caught if issubclass(w.category, SuperposeWarning)]


@pytest.mark.parametrize("name", TRAINED)
def test_a_part_that_was_trained_is_named_when_a_sum_is_written_and_in_its_card(
    name: str, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    one, two = write_adapter("one"), write_adapter("two", seed=1)
    put(one, name)
    total = library.load(one) + library.load(two)
    with pytest.warns(SuperposeWarning) as said:
        library.save(total, tmp_path / "sum")
    assert [str(w.message) for w in said] == [
        f"{one} holds {name} ({total.beside[0].what}), which is not in what is written"
    ]
    assert TRAINED[name] in total.beside[0].what
    card = (tmp_path / "sum/README.md").read_text()
    assert f"| {one} | {name} | " in card
    assert not (tmp_path / "sum" / name).exists()


def test_of_safetensors_one_tensor_is_named(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a")
    put(folder, "value_head.safetensors")
    (found,) = library.load(folder).beside
    assert found.what == "a value head, such as `x.weight`"


def test_what_is_known_to_be_no_part_is_passed_over(
    write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    folder = write_adapter("a")
    for name in NOISE:
        put(folder, name)
    adapter = library.load(folder)
    assert adapter.beside == ()
    assert said_by(lambda: library.save(adapter, tmp_path / "copy")) == []


def test_a_part_of_an_adapter_that_counts_nothing_is_not_named(
    write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    from superpose.compose import exact_sum

    one, two = write_adapter("one"), write_adapter("two", seed=1)
    put(one, "value_head.bin")
    assert exact_sum([library.load(one), library.load(two)], [0.0, 1.0]).beside == ()
    both = exact_sum([library.load(one), library.load(two)], [0.5, 0.5])
    assert len(both.compress(1).beside) == len((2 * both + both).beside) == 1


def test_a_tokenizer_that_all_parents_share_is_carried_byte_for_byte(
    write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    one, two, three = (write_adapter(n, seed=s) for s, n in enumerate(("one", "two", "three")))
    for name, content in TOKENIZER.items():
        put(one, name, content)
        if name != "added_tokens.json":
            put(two, name, content)
    total = library.load(one) + library.load(two) + library.load(three)
    assert said_by(lambda: library.save(total, tmp_path / "sum")) == []
    for name, content in TOKENIZER.items():
        assert (tmp_path / "sum" / name).read_bytes() == content
    written = library.save(total, tmp_path / "sum", force=True)  # an adapter of ours is replaced
    assert set(written.carried) == set(TOKENIZER)
    assert library.load(tmp_path / "sum").norm() == pytest.approx(total.norm())


@pytest.mark.parametrize("name", TOKENIZER)
def test_of_two_different_tokenizers_none_is_carried_and_that_is_said(
    name: str, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    one, two = write_adapter("one"), write_adapter("two", seed=1)
    for file, content in TOKENIZER.items():
        put(one, file, content)
        put(two, file, content + b"\n" * (file == name))
    total = library.load(one) + library.load(two)
    (said,) = said_by(lambda: library.save(total, tmp_path / "sum"))
    assert said.startswith(f"{one} and {two} have a different {name} each: no tokenizer is written")
    assert {path.name for path in (tmp_path / "sum").iterdir()} == {
        "README.md", "adapter_config.json", "adapter_model.safetensors",
    }  # fmt: skip


def test_a_tokenizer_that_went_meanwhile_is_said_to_be_missing(
    write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    folder = write_adapter("a")
    put(folder, "tokenizer.json")
    adapter = library.load(folder)
    (folder / "tokenizer.json").unlink()
    (said,) = said_by(lambda: library.save(adapter, tmp_path / "copy"))
    assert "tokenizer.json of" in said
    assert "cannot be read" in said


def test_a_pipe_in_place_of_a_tokenizer_is_not_waited_for(
    write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    folder = write_adapter("a")
    os.mkfifo(folder / "tokenizer.json")
    (said,) = said_by(lambda: library.save(library.load(folder), tmp_path / "copy"))
    assert "is no regular file" in said


def test_a_folder_given_in_a_relative_way_is_found_again_from_elsewhere(
    write_adapter: WriteAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter("a")
    put(folder, "tokenizer.json", b"{}")
    monkeypatch.chdir(folder.parent)
    adapter = library.load("a")
    monkeypatch.chdir(tmp_path.parent)
    assert library.save(adapter, tmp_path / "copy").carried == ("tokenizer.json",)


def test_info_and_add_tell_it_to_readers_and_to_programs(
    superpose: Superpose, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    one, two = write_adapter("one"), write_adapter("two", seed=1)
    put(one, "non_lora_trainables.bin")
    put(two, "value_head.safetensors")
    for folder in (one, two):
        put(folder, "tokenizer.json", b"{}")
    told = superpose("info", one).stdout
    assert "non_lora_trainables.bin: what was trained beside LoRA" in told
    assert "tokenizer.json" in told
    (first, second) = json.loads(superpose("info", one, "--json").stdout)["beside"]
    assert (first["file"], first["kind"]) == ("non_lora_trainables.bin", "trained")
    assert (second["file"], second["kind"]) == ("tokenizer.json", "tokenizer")
    ended = superpose("add", one, two, "-o", tmp_path / "sum", "--json")
    assert ended.returncode == 0, ended.stderr
    assert f"warning: {one} holds non_lora_trainables.bin" in ended.stderr
    assert f"warning: {two} holds value_head.safetensors" in ended.stderr
    beside = json.loads(ended.stdout)["beside"]
    assert {(b["file"], b["carried"]) for b in beside} == {
        ("non_lora_trainables.bin", False), ("value_head.safetensors", False),
        ("tokenizer.json", True),
    }  # fmt: skip
    again = superpose("add", one, two, "-o", tmp_path / "sum", "--force")
    assert "with the tokenizer of its parents: tokenizer.json" in again.stdout


def test_a_comparison_does_not_look_for_it(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    one, two = write_adapter("one"), write_adapter("two", seed=1)
    put(one, "value_head.bin")
    ended = superpose("check", one, two)
    assert ended.returncode == 0
    assert "value_head" not in ended.stdout + ended.stderr
    assert library.load(one, beside=False).beside == ()


def test_bake_and_verify_say_it_too(
    superpose: Superpose, write_adapter: WriteAdapter, tiny_base: Path, tmp_path: Path
) -> None:
    folder = write_adapter(
        "a", modules=("model.layers.0.self_attn.q_proj",), width=32, base_model=str(tiny_base)
    )
    put(folder, "value_head.bin")
    baked = superpose("bake", tiny_base, folder, "-o", tmp_path / "model", "--json")
    assert baked.returncode == 0, baked.stderr
    assert f"warning: {folder} holds value_head.bin (a value head), which is not in the model" in (
        baked.stderr
    )
    assert json.loads(baked.stdout)["beside"][0]["file"] == "value_head.bin"
    proved = superpose("verify", tiny_base, folder, tmp_path / "model")
    assert proved.returncode == 0, proved.stderr
    assert "value_head.bin (a value head), which lies in no file that is compared" in proved.stderr


def test_on_the_hub_it_is_named_without_being_fetched_and_a_tokenizer_is_carried(
    hub: Hub, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    folder = write_adapter("a")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    others = {"value_head.bin": b"x", "tokenizer.json": b"{}", "optimizer.pt": b"x"}
    hub.put("org/math", files | others)
    adapter = library.load("org/math")
    assert {one.file for one in adapter.beside} == {"value_head.bin", "tokenizer.json"}
    assert not any(path.endswith(tuple(others)) for path in hub.fetched)
    (said,) = said_by(lambda: library.save(adapter, tmp_path / "copy"))
    assert said.startswith("org/math holds value_head.bin (a value head)")
    assert (tmp_path / "copy/tokenizer.json").read_bytes() == b"{}"
    assert hub.fetched[-1] == "org/math/tokenizer.json"


def test_sharded_weights_are_fetched_from_the_hub_by_their_index(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a")
    right = library.load(folder)
    file = "adapter_model-00001-of-00001.safetensors"
    weights = (folder / "adapter_model.safetensors").read_bytes()
    names = read_header(folder / "adapter_model.safetensors").entries
    index = json.dumps({"weight_map": dict.fromkeys(names, file)})
    config = (folder / "adapter_config.json").read_bytes()
    hub.put(
        "org/math",
        {"adapter_config.json": config, file: weights,
         "adapter_model.safetensors.index.json": index.encode()},
    )  # fmt: skip
    assert library.load("org/math").norm() == right.norm()


def test_a_pushed_adapter_takes_its_tokenizer_and_leaves_what_is_no_part(
    write_adapter: WriteAdapter,
) -> None:
    folder = write_adapter("a")
    put(folder, "tokenizer.json", b"{}")
    put(folder, "value_head.bin")
    (said,) = said_by(lambda: library.push(folder, "org/a", dry_run=True))
    assert said == f"{folder} holds value_head.bin (a value head), which is not sent"
    assert {path.name for path in own_files(folder)} == {
        "adapter_config.json", "adapter_model.safetensors", "tokenizer.json",
    }  # fmt: skip


def test_a_folder_of_diffusers_names_what_lies_beside_its_one_file(tmp_path: Path) -> None:
    name = "unet.down_blocks.0.attn1.to_q.lora"
    tensors = {
        f"{name}.down.weight": np.ones((2, 8), np.float32),
        f"{name}.up.weight": np.ones((8, 2), np.float32),
    }
    save_file(tensors, tmp_path / "pytorch_lora_weights.safetensors")
    put(tmp_path, "style_emb.safetensors")
    (found,) = library.load(tmp_path).beside
    assert found.file == "style_emb.safetensors"
    assert found.what.startswith("embeddings")
    assert library.load(tmp_path / "pytorch_lora_weights.safetensors").beside == ()
