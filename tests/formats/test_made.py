"""Every format's file says how its adapter was made, and every speaker says it after the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from safetensors.numpy import load_file, save_file
from tests.shown.reading import Reading

import superpose
from superpose.adapter import Adapter, Delta, Made
from superpose.adapter.summary import summarise
from superpose.files import read_header
from superpose.formats.noted import KEY, noted

if TYPE_CHECKING:
    from tests.conftest import Superpose, WriteAdapter

MODULE = {
    "peft": "model.layers.0.mlp.up_proj",
    "kohya": "lora_unet_down_blocks_0_attentions_0_proj_in",
    "diffusers": "unet.down_blocks.0.attentions.0.proj_in",
    "llama.cpp": "blk.0.ffn_up",
}
FILE = {"peft": "out", "kohya": "out.safetensors", "diffusers": "out", "llama.cpp": "out.gguf"}


def made_in(kind: str, seed: int, name: str) -> Adapter:
    rng = np.random.default_rng(seed)
    B, A = (rng.standard_normal(s).astype("f4") for s in ((12, 3), (3, 10)))
    metadata = {"general.architecture": "llama"} if kind == "llama.cpp" else {}
    return Adapter({MODULE[kind]: Delta.of(B, A)}, name, format=kind, metadata=metadata)


def file_of(path: Path) -> Path:
    """The file with the note: of a folder, its weights."""
    return next(path.glob("*.safetensors")) if path.is_dir() else path


@pytest.mark.parametrize("kind", MODULE)
def test_a_compressed_sum_is_read_back_as_what_it_is_and_its_copy_too(
    kind: str, tmp_path: Path
) -> None:
    if kind == "llama.cpp":
        pytest.importorskip("gguf")
    small = (made_in(kind, 1, "math") + 0.5 * made_in(kind, 2, "law")).compress(2)
    written = superpose.save(small, tmp_path / FILE[kind])
    back = superpose.load(tmp_path / FILE[kind])
    assert back.made == small.made.written(written.rounding_error)
    assert [(p.name, p.weight) for p in back.parents] == [("math", 1.0), ("law", 0.5)]
    (tmp_path / "again").mkdir()
    superpose.save(back, tmp_path / "again" / FILE[kind])
    copy = superpose.load(tmp_path / "again" / FILE[kind])
    assert copy.made == back.made  # written in the dtype that it was read in: nothing is rounded
    assert [p.to_json() for p in copy.parents] == [p.to_json() for p in back.parents]


def test_a_gguf_file_is_titled_and_described_for_whoever_knows_no_note(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from superpose.formats.gguf.header import read_gguf_header as header_of

    small = (made_in("llama.cpp", 1, "math") + made_in("llama.cpp", 2, "law")).compress(2)
    superpose.save(small, tmp_path / "out.gguf")
    metadata = header_of(tmp_path / "out.gguf").metadata
    assert metadata["general.name"] == "math + law, at rank 2"
    assert metadata["general.description"] == str(small.made)


def test_card_repr_info_diff_check_and_notebook_say_what_a_file_is(
    write_adapter: WriteAdapter, superpose: Superpose, tmp_path: Path
) -> None:
    import superpose as sp

    a, b = (write_adapter(name, seed=i, rank=3) for i, name in enumerate("ab"))
    assert superpose("add", a, f"{b}:0.5", "--rank", 2, "-o", tmp_path / "small").returncode == 0
    small = sp.load(tmp_path / "small")
    said = str(small.made)
    assert said.startswith("the best approximation of rank 2 of a weighted sum of deltas; it keeps")
    assert f"{100 * (small.made.energy_kept or 0):.2f} % of its energy" in said
    card = (tmp_path / "small" / "README.md").read_text(encoding="utf-8")
    assert r"# a + 0.5\*b, at rank 2" in card.splitlines()
    assert f"A superposition of LoRA adapters: {said}." in card
    assert said in repr(small)
    assert said in superpose("info", tmp_path / "small").stdout
    found = json.loads(superpose("info", tmp_path / "small", "--json").stdout)["made"]
    assert found["energy_kept"] == small.made.energy_kept
    assert (found["exact"], found["settings"], found["sentence"]) == (False, {"rank": 2}, said)
    facts = json.loads(superpose("diff", tmp_path / "small", a, "--json").stdout)["facts"]
    assert {"name": "made", "a": said, "b": None} in facts
    checked = json.loads(superpose("check", tmp_path / "small", a, "--json").stdout)
    assert [one["made"] for one in checked["adapters"]] == [said, None]
    assert f"small is {said}." in " ".join(superpose("check", tmp_path / "small", a).stdout.split())
    assert any(said in line for line in Reading(small._repr_html_()).lines)
    page = tmp_path / "page.html"
    superpose("check", tmp_path / "small", a, "--html", page)
    assert f"small is {said}." in page.read_text(encoding="utf-8")


def test_a_sum_of_compressed_files_says_that_its_parents_are_approximations(
    write_adapter: WriteAdapter, superpose: Superpose, tmp_path: Path
) -> None:
    import superpose as sp

    a, b = (write_adapter(name, seed=i, rank=3) for i, name in enumerate("ab"))
    for path in (a, b):
        superpose("add", path, "--rank", 1, "-o", tmp_path / f"{path.name}1")
    ended = superpose("add", tmp_path / "a1", tmp_path / "b1", "-o", tmp_path / "sum")
    assert "exact" in ended.stdout
    total = sp.load(tmp_path / "sum")
    assert total.made.exact  # of its parents, which are what they are
    assert [(n, m.method) for n, m in total.made.inputs] == [
        ("a1", "best rank"),
        ("b1", "best rank"),
    ]
    card = (tmp_path / "sum" / "README.md").read_text(encoding="utf-8")
    for name in ("a1", "b1"):
        assert f"{name} is the best approximation of rank 1 of one adapter's deltas" in card
        assert f"| {name} | the best approximation of rank 1 of one adapter's deltas (" in card


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object]) -> Adapter:
    """Change the note in a folder's file, and read it."""
    path = folder / "adapter_model.safetensors"
    note = json.loads(read_header(path).metadata[KEY])
    text = json.dumps(change(note))
    save_file(load_file(path), path, {"format": "pt", KEY: text})
    return superpose.load(folder)


def before(note: dict[str, Any], **figures: float) -> dict[str, Any]:
    """A note of the versions that noted figures alone."""
    return {"version": "0.1.0", "parents": note["parents"], "rounding_error": 1e-8, **figures}


def test_the_note_of_an_earlier_version_is_read_for_what_it_says(tmp_path: Path) -> None:
    small = (made_in("peft", 1, "math") + made_in("peft", 2, "law")).compress(2)
    superpose.save(small, tmp_path / "out")
    old = rewritten(tmp_path / "out", lambda note: before(note, energy_kept=0.71))
    assert (old.made.method, old.made.exact, old.made.energy_kept) == ("best rank", False, 0.71)
    assert "it keeps 71.00 % of its energy" in str(old.made)
    superpose.save(small, tmp_path / "out", force=True)
    old = rewritten(tmp_path / "out", before)  # what Python's `save` wrote of an approximation
    assert (old.made.method, old.made.exact) == ("sum", None)
    assert "whether exactly, its file does not tell" in str(old.made)
    assert [p.name for p in old.parents] == ["math", "law"]
    superpose.save(small, tmp_path / "out", force=True)
    old = rewritten(
        tmp_path / "out",
        lambda note: before({"parents": []}, energy_kept=0.9, share_left_out=0.2),
    )
    assert (old.made.method, old.made.energy_kept, old.made.share_left_out) == ("extract", 0.9, 0.2)
    assert "tensors with 20.00 % of the change's are left out" in str(old.made)


def test_the_note_of_an_earlier_version_without_parents_is_of_what_was_given(
    tmp_path: Path,
) -> None:
    superpose.save(made_in("peft", 1, "math"), tmp_path / "out")
    old = rewritten(tmp_path / "out", lambda _: before({"parents": []}))
    assert (old.made.method, old.made.rounding_error) == ("given", 1e-8)
    assert old.parents == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.sampled_from(list(Made().to_json())), JSON)
def test_a_note_that_superpose_does_not_write_tells_nothing_or_is_sound(
    key: str, value: object
) -> None:
    small = (made_in("peft", 1, "math") + made_in("peft", 2, "law")).compress(2)
    note = {"parents": [], "made": {**small.made.to_json(), key: value}}
    found = noted({KEY: json.dumps(note)})
    made = found.get("made", Made())
    assert str(made).isprintable()
    assert made.energy_kept is None or 0.0 <= made.energy_kept <= 1.0
    json.dumps(replace(small, made=made).made.to_json(), allow_nan=False)
    assert summarise(replace(small, made=made)).to_json()["made"] == made.to_json()
