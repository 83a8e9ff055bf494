"""`superpose extract` writes an adapter, tells what it keeps, and lists what it leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose as sp
from superpose.lowrank import dense

if TYPE_CHECKING:
    from tests.conftest import Superpose

Q, UP = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj"
NORM = "model.norm.weight"


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """A base model and its fine-tuned self, which differ by rank 2 in two layers, and by a norm."""
    rng = np.random.default_rng(5)
    base = {
        f"{Q}.weight": rng.standard_normal((16, 16)).astype(np.float32),
        f"{UP}.weight": rng.standard_normal((24, 16)).astype(np.float32),
        NORM: np.ones(16, np.float32),
    }
    tuned = {NORM: base[NORM] + np.float32(0.5)}
    for name in (f"{Q}.weight", f"{UP}.weight"):
        rows, columns = base[name].shape
        low = rng.standard_normal((rows, 2)) @ rng.standard_normal((2, columns))
        tuned[name] = (base[name] + low).astype(np.float32)
    for folder, tensors in (("base", base), ("tuned", tuned)):
        write(tmp_path / folder, tensors)
    return tmp_path / "base", tmp_path / "tuned"


def write(folder: Path, tensors: dict[str, Any], **config: Any) -> None:
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], **config}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_the_adapter_is_the_difference_and_the_norm_is_said_to_be_left_out(
    models: tuple[Path, Path], superpose: Superpose, tmp_path: Path
) -> None:
    base, tuned = models
    ended = superpose("extract", base, tuned, "-o", tmp_path / "out", "--rank", 2)
    assert ended.returncode == 0, ended.stderr
    before, after = (load_file(folder / "model.safetensors") for folder in models)
    for module, delta in sp.load(tmp_path / "out").items():
        change = after[f"{module}.weight"].astype(np.float64) - before[f"{module}.weight"]
        assert np.linalg.norm(dense(delta.terms) - change) < 1e-5 * np.linalg.norm(change)
    for words in ("2 target modules, rank 2, keeps 100.00 %", "float32", "q_proj", NORM, "norm"):
        assert words in ended.stdout
    assert ended.stderr.startswith("note: 1 tensor that differs is not in the adapter: ")


def test_json_is_alone_on_standard_output(
    models: tuple[Path, Path], superpose: Superpose, tmp_path: Path
) -> None:
    ended = superpose(
        "extract", *models, "-o", tmp_path / "out", "--energy", 0.5, "--targets", "q_proj, up_proj",
        "--json",
    )  # fmt: skip
    found = json.loads(ended.stdout)
    assert (found["rank"], found["dtype"], found["base"]) == (1, "float32", str(models[0]))
    assert 0.5 <= found["energy_kept"] < 1
    assert {m["name"]: m["rank"] for m in found["modules"]} == {Q: 1, UP: 1}
    (left,) = found["leftovers"]
    assert (left["name"], left["kind"], left["relative"]) == (NORM, "norm", pytest.approx(0.5))
    assert found["share_left"] == pytest.approx(left["share"])
    assert "note:" in ended.stderr


def test_the_model_card_says_what_it_was_extracted_from(
    models: tuple[Path, Path], superpose: Superpose, tmp_path: Path
) -> None:
    assert superpose("extract", *models, "-o", tmp_path / "out", "--rank", 1).returncode == 0
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "A superposition of" not in card
    assert f"A LoRA adapter: what `{models[1].name}` adds to its base model" in card
    assert f"| finetuned | {models[1]} |" in card
    assert "| energy kept | 0." in card
    assert "| share left out | 0." in card


def test_base_plus_adapter_minus_fine_tuned_is_the_way_back(
    models: tuple[Path, Path], superpose: Superpose, tmp_path: Path
) -> None:
    """Extracting in both directions gives deltas that cancel: plain arithmetic."""
    base, tuned = models
    there, back = tmp_path / "there", tmp_path / "back"
    assert superpose("extract", base, tuned, "-o", there, "--rank", 2).returncode == 0
    assert superpose("extract", tuned, base, "-o", back, "--rank", 2).returncode == 0
    both = sp.load(there) + sp.load(back).on_base(str(base))
    assert both.norm() < 1e-5 * sp.load(there).norm()


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("model", "out.safetensors", "a PEFT adapter is a folder, not a file"),
        ("diffusion_pytorch_model", "out.gguf", "GGUF holds no image LoRA"),
    ],
)
def test_a_name_that_the_format_does_not_take_is_refused_before_the_work(
    models: tuple[Path, Path], superpose: Superpose, tmp_path: Path, kind: str, name: str, said: str
) -> None:
    base, tuned = models
    (tuned / "model.safetensors").unlink()  # which the work would ask for
    if kind != "model":
        (base / "model.safetensors").rename(base / f"{kind}.safetensors")
        (base / "config.json").write_text('{"_class_name": "UNet2DConditionModel"}')
    ended = superpose("extract", base, tuned, "-o", tmp_path / name, "--rank", 2)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_what_stands_in_the_way_is_said_before_anything_is_read(
    models: tuple[Path, Path], superpose: Superpose, tmp_path: Path
) -> None:
    base, _ = models
    ended = superpose("extract", base, tmp_path / "none", "-o", base, "--rank", 2)
    assert ended.returncode == 2
    assert "already exists" in ended.stderr
    ended = superpose("extract", base, tmp_path / "none", "-o", tmp_path / "out", "--rank", 2)
    assert ended.returncode in (2, 3)
    assert "none" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_an_adapter_in_the_place_of_a_model_is_told(
    models: tuple[Path, Path], superpose: Superpose, tmp_path: Path
) -> None:
    base, tuned = models
    assert superpose("extract", base, tuned, "-o", tmp_path / "out", "--rank", 2).returncode == 0
    ended = superpose("extract", base, tmp_path / "out", "-o", tmp_path / "again", "--rank", 2)
    assert ended.returncode == 2
    assert "is an adapter already" in ended.stderr
