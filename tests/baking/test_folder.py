"""A baked folder has what loading needs, tells what it is, and replaces only its like."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.baking.checkpoints import normal, write_checkpoint
from tests.baking.conftest import Bench, llama, load, logits

import superpose as sp
from superpose.adapter import Adapter, Delta
from superpose.baking import bake
from superpose.errors import BadInput, OutputExists, Refused
from superpose.files.base import LocatedBase, read_base_name
from superpose.files.checkpoint import Checkpoint

CARRIED = {
    "generation_config.json": '{"max_new_tokens": 7}',
    "tokenizer.json": "{}",
    "tokenizer_config.json": "{}",
    "tokenizer.model": "bytes",
    "merges.txt": "a b",
    "chat_template.jinja": "{{ messages }}",
    "modeling_own.py": "x = 1",
    "LICENSE": "free",
}
LEFT = {
    "README.md": "# The base model",
    "pytorch_model.bin": "pickle",
    "model.fp32.safetensors": "other weights",
    "pytorch_model.bin.index.json": "{}",
    "model.gguf": "GGUF",
    "trainer_state.json": "{}",
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = write_checkpoint(tmp_path / "base", {"a.weight": normal(4, 4)}, other={"x": [1]})
    for name, text in {**CARRIED, **LEFT}.items():
        (folder / name).write_text(text)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool.jinja").write_text("{{ tool }}")
    (folder / "onnx").mkdir()
    return folder


def adapter() -> Adapter:
    return Adapter({"a": Delta.of(normal(4, 1), normal(1, 4))}, name="math")


def test_tokenizer_and_settings_are_carried_and_nothing_else(base: Path, tmp_path: Path) -> None:
    bake(base, adapter(), tmp_path / "out")
    found = {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    own = {"model.safetensors", "config.json", "README.md"}
    assert found == {*CARRIED, *own, "additional_chat_templates/tool.jinja"}
    for name, text in CARRIED.items():
        assert (tmp_path / "out" / name).read_text() == text
    configs = [json.loads((f / "config.json").read_text()) for f in (base, tmp_path / "out")]
    assert configs[0] == configs[1]


def test_the_card_of_an_approximation_does_not_call_it_the_sum(base: Path, tmp_path: Path) -> None:
    both = adapter() + Adapter({"a": Delta.of(normal(4, 2), normal(2, 4))}, name="law")
    small = both.compress(1)
    bake(base, small, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "# base + math + law, at rank 1" in card
    assert str(small.made) in card
    assert "plus a weighted sum" not in card
    bake(base, small + both, tmp_path / "more")
    assert str((small + both).made) in (tmp_path / "more" / "README.md").read_text()


def test_the_card_names_base_parents_and_weights(base: Path, tmp_path: Path) -> None:
    total = adapter() - 0.5 * Adapter({"a": Delta.of(normal(4, 1), normal(1, 4))}, name="law")
    fetched = LocatedBase(base, read_base_name("org/base@v1"))
    bake(fetched, total, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith('---\nbase_model: "org/base"\n')
    assert "Base model: org/base@v1" in card
    assert "| math | 1 | made in memory |" in card
    assert "| law | -0.5 | made in memory |" in card
    assert "1 of the base model's 1 tensors are changed" in card
    assert "# The base model" not in card


def test_a_card_names_no_base_by_a_path(base: Path, tmp_path: Path) -> None:
    """The hub refuses such a card; the adapter may know where the folder came from."""
    bake(base, adapter(), tmp_path / "out")
    assert "base_model" not in (tmp_path / "out" / "README.md").read_text()
    bake(base, adapter().on_base("org/base"), tmp_path / "named")
    assert 'base_model: "org/base"' in (tmp_path / "named" / "README.md").read_text()


def test_a_single_adapter_is_a_parent_of_weight_one(base: Path, tmp_path: Path) -> None:
    bake(base, adapter(), tmp_path / "out")
    assert "| math | 1 | made in memory |" in (tmp_path / "out" / "README.md").read_text()


def test_a_nested_configuration_is_told_its_dtype_too(tmp_path: Path) -> None:
    config = {"torch_dtype": "float32", "text_config": {"dtype": "float32", "hidden": 4}}
    base = write_checkpoint(tmp_path / "base", {"a.weight": normal(4, 4)}, **config)
    bake(base, adapter(), tmp_path / "out", dtype="float16")
    after = Checkpoint.open(tmp_path / "out").config
    assert after["torch_dtype"] == "float16"
    assert after["text_config"] == {"dtype": "float16", "hidden": 4}
    assert "dtype" not in after


def test_force_replaces_what_bake_wrote_and_nothing_else(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bake(base, adapter(), out)
    with pytest.raises(OutputExists, match="already exists"):
        bake(base, adapter(), out)
    before = (out / "model.safetensors").read_bytes()
    bake(base, 2.0 * adapter(), out, force=True)
    assert (out / "model.safetensors").read_bytes() != before
    (out / "README.md").write_text("# mine")
    with pytest.raises(OutputExists, match="holds other things than a model that superpose baked"):
        bake(base, adapter(), out, force=True)
    assert (out / "README.md").read_text() == "# mine"


def test_the_base_is_never_replaced_by_what_is_made_from_it(base: Path, tmp_path: Path) -> None:
    bake(base, adapter(), tmp_path / "one")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    with pytest.raises(BadInput, match="is the base model itself"):
        bake(tmp_path / "one", adapter(), tmp_path / "link", force=True)


def test_an_unknown_dtype_is_told_at_once(base: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unknown dtype 'int8'"):
        bake(base, adapter(), tmp_path / "out", dtype="int8")


def test_a_sharded_model_with_a_new_tensor_is_indexed_and_loads(
    bench: Callable[[Callable[[], Any]], Bench],
) -> None:
    made = bench(lambda: llama(tie_word_embeddings=True))
    path = made.adapter("a", target_modules=["embed_tokens"])
    right = made.logits_with(path)
    model = made.model()
    (made.base / "model.safetensors").unlink()
    model.save_pretrained(made.base, max_shard_size="8KB")
    assert len(Checkpoint.open(made.base).files) > 2
    bake(made.base, sp.load(path), made.folder / "out")
    after = Checkpoint.open(made.folder / "out")
    assert after.index is not None
    sizes = [after.entry(name).end - after.entry(name).begin for name in after.names]
    assert after.index["metadata"]["total_size"] == sum(sizes)
    assert after.index["metadata"]["total_parameters"] == sum(sizes) // 4
    assert (logits(load(made.folder / "out")) - right).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["vocab.txt", "LICENSE", "additional_chat_templates/x.jinja"])
def test_a_link_out_of_the_base_models_folder_is_not_followed(
    name: str, base: Path, tmp_path: Path
) -> None:
    """A model from elsewhere would carry a file of this machine into what is published."""
    secret = tmp_path / "secret"
    secret.write_text("mine")
    (base / name).unlink(missing_ok=True)
    (base / name).symlink_to(secret)
    with pytest.raises(Refused, match=r"is a link out of its folder, to .*secret"):
        bake(base, adapter(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_link_out_of_the_base_models_is_not_followed(
    base: Path, tmp_path: Path
) -> None:
    shutil.rmtree(base / "additional_chat_templates")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("mine")
    (base / "additional_chat_templates").symlink_to(tmp_path / "mine")
    with pytest.raises(Refused, match="is a link out of its folder"):
        bake(base, adapter(), tmp_path / "out")


def test_links_that_lead_back_or_to_themselves_end_with_their_name(
    base: Path, tmp_path: Path
) -> None:
    (base / "additional_chat_templates" / "back").symlink_to("..")
    with pytest.raises(BadInput, match="back: is no regular file"):
        bake(base, adapter(), tmp_path / "out")
    (base / "additional_chat_templates" / "back").unlink()
    (base / "NOTICE").symlink_to("NOTICE")
    with pytest.raises(BadInput, match="NOTICE: "):
        bake(base, adapter(), tmp_path / "out")


def test_a_named_pipe_among_the_base_models_files_is_refused_and_not_waited_for(
    base: Path, tmp_path: Path
) -> None:
    (base / "LICENSE").unlink()
    os.mkfifo(base / "LICENSE")
    with pytest.raises(BadInput, match="LICENSE: is no regular file"):
        bake(base, adapter(), tmp_path / "out")


def test_links_within_a_folder_and_those_of_the_hubs_cache_are_files_like_others(
    base: Path, tmp_path: Path
) -> None:
    (base / "COPYING").symlink_to("LICENSE")
    bake(base, adapter(), tmp_path / "out")
    assert (tmp_path / "out" / "COPYING").read_text() == CARRIED["LICENSE"]
    cache = tmp_path / "models--org--base"
    snapshot = cache / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for path in [path for path in base.iterdir() if path.is_file()]:
        (cache / "blobs" / path.name).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    bake(snapshot, adapter(), tmp_path / "again")
    assert (tmp_path / "again" / "tokenizer.model").read_text() == CARRIED["tokenizer.model"]
