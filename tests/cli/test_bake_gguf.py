"""`superpose bake --for gguf`: the file that Python writes, said in the same words, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from tests.conftest import Superpose, WriteAdapter

import superpose as library
from superpose.errors import BadInput, BadSetting, MissingBase

MODULES = ("model.layers.0.self_attn.v_proj", "model.layers.0.mlp.down_proj")


@pytest.fixture
def place(tmp_path: Path, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model's GGUF file, one matrix of it quantised, and two adapters."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("math", "medicine")):
        write_adapter(name, seed=seed, modules=MODULES, width=32)
    writer = gguf.GGUFWriter("base.gguf", "llama")
    writer.add_type("model")
    writer.add_head_count(2)
    weight = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    writer.add_tensor("blk.0.attn_v.weight", weight)
    eight = gguf.GGMLQuantizationType.Q8_0
    packed = gguf.quants.quantize(weight, eight)
    writer.add_tensor("blk.0.ffn_down.weight", packed, raw_dtype=eight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path


@pytest.mark.usefixtures("place")
def test_the_command_writes_what_python_writes(superpose: Superpose) -> None:
    asked = ("--for", "gguf", "base.gguf", "math", "medicine:0.5", "-o", "shell.gguf")
    told = superpose("bake", *asked)
    assert told.returncode == 0, told.stderr
    assert "2 tensors changed, 0 copied" in told.stderr + told.stdout
    assert "changed: 1 in Q8_0, 1 in float32; rounding takes" in told.stderr + told.stdout
    made = library.bake("base.gguf", ["math", "medicine:0.5"], "python.gguf", engine="gguf")
    assert Path("shell.gguf").read_bytes() == Path("python.gguf").read_bytes()
    again = superpose("bake", *asked, "--force", "--json")
    printed = json.loads(again.stdout)
    told = {"schema": 1, **json.loads(json.dumps(made.to_json()))}
    assert {**printed, "output": "python.gguf"} == told
    assert (printed["requantised"], printed["changed"], printed["untied"]) == (1, 2, False)
    assert [p["weight"] for p in printed["parents"]] == [1.0, 0.5]


@pytest.mark.usefixtures("place")
def test_what_is_no_gguf_bake_is_refused_before_anything_is_read() -> None:
    def bake(base: str, out: str = "out.gguf", engine: str = "gguf") -> None:
        library.bake(base, ["math"], out, engine=engine)

    with pytest.raises(BadInput, match="is no GGUF file, and a GGUF model is made of the base's"):
        bake("math")
    with pytest.raises(BadInput, match="is no GGUF file"):
        bake("org/base")
    with pytest.raises(MissingBase):
        bake("nowhere.gguf")
    with pytest.raises(BadInput, match="is no name of a GGUF model"):
        bake("base.gguf", "folder")
    with pytest.raises(BadSetting, match="'vllm' is nothing that a model is baked for"):
        bake("base.gguf", engine="vllm")
    with pytest.raises(BadInput, match=r"base\.gguf") as folder:
        library.bake("base.gguf", ["math"], "folder")
    assert "--for gguf" in str(folder.value)
    assert sorted(p.name for p in Path().iterdir()) == ["base.gguf", "math", "medicine"]


@pytest.mark.usefixtures("place")
def test_an_adapter_that_is_no_sum_of_factors_is_refused_with_a_way_out(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    write_adapter("whole", modules=MODULES, width=32, bias="all")
    config = Path("whole/adapter_config.json")
    found = json.loads(config.read_text())
    from safetensors.numpy import load_file, save_file

    tensors = load_file("whole/adapter_model.safetensors")
    tensors["base_model.model.model.layers.0.mlp.down_proj.bias"] = np.ones(32, np.float32)
    save_file(tensors, "whole/adapter_model.safetensors")
    config.write_text(json.dumps(found))
    told = superpose("bake", "--for", "gguf", "base.gguf", "whole", "-o", "made.gguf")
    assert told.returncode == 2
    assert "is stored as it is, not as factors" in told.stderr
    assert "convert_hf_to_gguf.py" in told.stderr
    assert not Path("made.gguf").exists()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("base.gguf", "math", "gone"), "gone: no such folder"),
        (("base.gguf", "math", "medicine:half"), "`half` after the colon is no task weight"),
        (("base.gguf", "math + nan*medicine"), "`nan` before the * is no task weight"),
        (("base.gguf", "math", "other"), "and `other` on `org/quite-another`"),
        (("base.gguf", "wide"), "has shape (32, 32), and the adapter's change of it (64, 64)"),
        (("base.gguf", "deeper"), "has no tensor `blk.7.attn_v.weight`"),
        (("cut.gguf", "math"), "cut.gguf"),
        (("base.gguf", "math", "-o", "base.gguf/made.gguf"), "base.gguf: cannot be written"),
    ],
)
def test_bad_input_is_told_on_the_commands_own_side_and_nothing_is_left(
    words: tuple[str, ...], said: str, superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    write_adapter("other", modules=MODULES, width=32, base_model="org/quite-another")
    write_adapter("wide", modules=MODULES, width=64)
    write_adapter("deeper", modules=("model.layers.7.self_attn.v_proj",), width=32)
    Path("cut.gguf").write_bytes(Path("base.gguf").read_bytes()[:-100])
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    out = () if "-o" in words else ("-o", "made.gguf")
    told = superpose("bake", "--for", "gguf", *words, *out)
    assert told.returncode == 2, told.stderr
    assert told.stderr.count("error: ") == 1
    assert said in " ".join(told.stderr.split())
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
