"""A base model's name means one thing in every function that takes one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.base_names import KINDS, Named
from tests.conftest import WriteAdapter
from tests.loopback_hub import Hub

import superpose
from superpose.baking import bake, prove_model, prove_sum
from superpose.errors import BadInput, MissingBase
from superpose.files import embedded
from superpose.files.base import LocatedBase, base_at_hand, locate_base, read_base_name
from superpose.files.checkpoint import Checkpoint
from superpose.formats.gguf import read_base
from superpose.interference.typed import typed_of, words_of
from superpose.model import load_base
from superpose.verbs.at_hand import base_of

Called = Callable[[str], Named]
MODULES = ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.o_proj")


@pytest.fixture
def math(write_adapter: WriteAdapter) -> superpose.Adapter:
    """An adapter of the tiny base model."""
    return superpose.load(write_adapter("math", modules=MODULES, width=32))


def same_tensors(one: Path, other: Path) -> bool:
    """Say whether two models' folders hold the same tensors, bit for bit."""
    x, y = Checkpoint.open(one), Checkpoint.open(other)
    return x.names == y.names and all(np.array_equal(x.read(n), y.read(n)) for n in x.names)


@pytest.mark.parametrize("kind", KINDS)
def test_bake_writes_one_model_whatever_its_base_is_called_and_both_proofs_find_it(
    kind: str, base_called: Called, tiny_base: Path, math: superpose.Adapter, tmp_path: Path
) -> None:
    base = base_called(kind)
    bake(tiny_base, math, tmp_path / "expected")
    bake(base.given, math, tmp_path / "out")
    assert same_tensors(tmp_path / "out", tmp_path / "expected")
    card = (tmp_path / "out" / "README.md").read_text()
    called = base.name if base.revision is None else f"{base.name}@{base.revision}"
    assert f"Base model: {called}\n" in card
    assert prove_model(base.given, math, tmp_path / "out").holds
    assert prove_sum(math, math, base.given).holds


@pytest.mark.parametrize("kind", KINDS)
def test_extract_takes_every_name_for_either_model_and_notes_it_as_training_does(
    kind: str, base_called: Called, tiny_base: Path, math: superpose.Adapter, tmp_path: Path
) -> None:
    base = base_called(kind)
    bake(tiny_base, math, tmp_path / "tuned")
    found = superpose.extract(base.given, tmp_path / "tuned", rank=2).adapter
    assert (found.base_model, found.settings.get("revision")) == (base.name, base.revision)
    assert found.on_base(None).cosine(math) == pytest.approx(1.0)
    assert found.norm() == pytest.approx(math.norm())
    back = superpose.extract(tmp_path / "tuned", base.given, rank=2).adapter
    assert back.on_base(None).cosine(math) == pytest.approx(-1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_load_base_loads_one_model_and_knows_what_an_adapter_calls_it(
    kind: str, base_called: Called, tiny_base: Path
) -> None:
    base = base_called(kind)
    expected = load_base(tiny_base).model.state_dict()
    loaded = load_base(base.given)
    assert all(torch.equal(x, expected[name]) for name, x in loaded.model.state_dict().items())
    assert (loaded.model.name_or_path, loaded.revision) == (base.name, base.revision)
    assert loaded.name == base.given


@pytest.mark.parametrize("kind", KINDS)
def test_load_and_save_of_gguf_take_every_name(
    kind: str, base_called: Called, math: superpose.Adapter, tmp_path: Path
) -> None:
    base = base_called(kind)
    # The embedded model's numbers are known by its name.
    assert read_base(base.given).heads == (9 if kind == "smollm2" else 4)
    if kind == "smollm2":
        return
    superpose.save(math, tmp_path / "math.gguf", base=base.given)
    again = superpose.load(tmp_path / "math.gguf", base=base.given)
    assert math.cosine(again) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_located_once_is_taken_in_the_place_of_its_name(
    kind: str, base_called: Called, tiny_base: Path
) -> None:
    base = base_called(kind)
    located = locate_base(base.given)
    assert isinstance(located, LocatedBase)
    assert locate_base(located) is located
    assert read_base_name(located) == read_base_name(base.given)
    assert same_tensors(located.folder, tiny_base)
    assert Path(located) == located.folder


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_here_is_found_by_the_name_that_an_adapter_has_for_it(
    kind: str, base_called: Called, tiny_base: Path
) -> None:
    base = base_called(kind)
    expected = Checkpoint.open(tiny_base).names
    if kind in {"hub", "revision"}:
        assert base_at_hand(base.given) is None, "nothing is fetched"
        locate_base(base.given)
    for name in {base.given, base.name} if base.revision is None else {base.given}:
        found = base_at_hand(name)
        assert found is not None
        assert found.names == expected


TAKING: dict[str, Callable[[Any, superpose.Adapter, Path], object]] = {
    "bake": lambda base, math, tmp: bake(base, math, tmp / "out"),
    "extract": lambda base, _, tmp: superpose.extract(base, tmp / "model", rank=2),
    "extract, tuned": lambda base, _, tmp: superpose.extract(tmp / "model", base, rank=2),
    "load_base": lambda base, *_: load_base(base),
    "prove_model": lambda base, math, tmp: prove_model(base, math, tmp / "model"),
    "prove_sum": lambda base, math, _: prove_sum(math, math, base),
    "load": lambda base, math, _: superpose.load(math.path or "", base=base),
    "save": lambda base, math, tmp: superpose.save(math, tmp / "x", base=base),
    "save gguf": lambda base, math, tmp: superpose.save(math, tmp / "x.gguf", base=base),
    "read_base": lambda base, *_: read_base(base),
}


@pytest.mark.parametrize("verb", TAKING)
def test_a_name_that_is_none_is_said_alike_everywhere(
    verb: str,
    math: superpose.Adapter,
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_base, tmp_path / "model")
    take = TAKING[verb]
    for given in ("./modle", "model/modle", "/nowhere/model", Path("modle"), Path("org/model")):
        with pytest.raises(MissingBase, match="there is no such folder"):
            take(given, math, tmp_path)
    for given in ("smollm", "SmolLM2", "smollm2@v1"):
        with pytest.raises(MissingBase, match="Did you mean `smollm2`"):
            take(given, math, tmp_path)
    with pytest.raises(BadInput, match="the name of a base model is empty"):
        take("", math, tmp_path)
    with pytest.raises(BadInput, match="names no place in a repository"):
        take("https://example.org/model", math, tmp_path)
    with pytest.raises(BadInput, match="is no name"):
        take("mod\0el", math, tmp_path)


@pytest.mark.parametrize(
    "verb", [v for v in TAKING if not v.startswith(("load", "save", "read")) or v == "load_base"]
)
def test_an_adapter_and_a_file_are_no_base_model(
    verb: str, math: superpose.Adapter, tiny_base: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_base, tmp_path / "model")
    assert math.path is not None
    with pytest.raises(BadInput, match="is an adapter"):
        TAKING[verb](math.path, math, tmp_path)
    with pytest.raises(BadInput, match="is a file; a base model is a folder"):
        TAKING[verb](tmp_path / "model" / "model.safetensors", math, tmp_path)


def test_the_revision_of_an_adapters_base_is_looked_for_and_not_the_default_branch(
    base_called: Called, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    """PEFT's configurations have a field of their own for it."""
    base = base_called("revision")
    locate_base(base.given)
    settings: dict[str, Any] = {"modules": MODULES, "width": 32, "base_model": base.name}
    right, other = (
        superpose.load(write_adapter(f"a{n}", **settings, revision=n)) for n in ("v1", "v2")
    )
    assert base_of([right], None) is not None
    assert base_of([other], None) is None
    superpose.save(right, tmp_path / "a.gguf")  # asks the base for its heads
    with pytest.raises(MissingBase, match="`org/base@v2` is not here"):
        superpose.save(other, tmp_path / "b.gguf")
    words = words_of(right, "a")
    assert typed_of(words, words, one_base=True).base == "org/base@v1"


def test_an_adapter_on_the_hub_is_not_loaded_with_the_base_that_it_names(
    base_called: Called, hub: Hub, math: superpose.Adapter, tiny_base: Path
) -> None:
    """Transformers loads the base model that an adapter names, and the adapter into it."""
    base_called("hub")
    assert math.path is not None
    files = {path.name: path.read_bytes() for path in Path(math.path).iterdir()}
    config = files["adapter_config.json"].replace(b"org/tiny-llama", b"org/base")
    files |= {path.name: path.read_bytes() for path in tiny_base.glob("*token*")}
    hub.put("org/math", files | {"adapter_config.json": config})
    with pytest.raises(BadInput, match="is an adapter, not a base model"):
        load_base("org/math")


def test_a_folder_called_smollm2_is_the_base_where_it_holds_a_model(
    base_called: Called, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study's folder of that name holds none, and is no base model."""
    base_called("smollm2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2" / "cells").mkdir(parents=True)
    assert locate_base("smollm2").name == load_base("smollm2").model.name_or_path
    assert locate_base("smollm2").name == embedded.HUB_NAME
    assert read_base("smollm2").heads == 9
    shutil.copytree(tiny_base, tmp_path / "smollm2", dirs_exist_ok=True)
    assert locate_base("smollm2").folder == Path("smollm2")
    assert load_base("smollm2").model.name_or_path == "smollm2"
    assert read_base("smollm2").heads == 4


def test_without_the_extra_smollm2_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, math: superpose.Adapter
) -> None:
    import sys

    from superpose.errors import MissingExtra

    monkeypatch.setenv("SUPERPOSE_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(embedded, "gguf_file", lambda: tmp_path / "the.gguf")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r'pip install "superpose\[study\]"'):
        bake("smollm2", math, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [p.suffix for p in (tmp_path / "empty").glob("*")] == [".lock"]
